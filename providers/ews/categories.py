"""The master category list of a mailbox: which colours its owner sees for which categories.

It is an XML document in a hidden item of the default calendar, ``IPM.Configuration.CategoryList``
([MS-OXOCFG] 2.2.5.2.2), and reached as the user configuration ``CategoryList`` ([MS-OXWSUSRCFG]).
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from exchangelib.properties import UserConfiguration, UserConfigurationName, UserConfigurationNameMNS
from exchangelib.services import CreateUserConfiguration, GetUserConfiguration, UpdateUserConfiguration
from lxml import etree

from providers import colours
from providers.colours import NO_COLOUR, Wish
from providers.contract import Operation, Permit
from providers.ews.calendar import default_calendar, good
from providers.ews.items import cut
from providers.ews.outcomes import not_found
from providers.ews.session import MailboxAccount
from providers.ews.soap import MNS, TNS, read

__all__ = ["CategoryList", "Unreadable", "Wish", "read_list", "wishes", "write_list"]

_NAME = "CategoryList"
_CATEGORY = "{CategoryList.xsd}category"
_KINDS = ("Notes", "Journal", "Contacts", "Tasks", "Calendar", "Mail", "")
"""What is noted of each category is when it was last used, for each of these and for anything."""

_NEVER = "1601-01-01T00:00:00.000"
_EMPTY = b'<categories default="" lastSavedSession="0" lastSavedTime="" xmlns="CategoryList.xsd"/>'
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


class Unreadable(Exception):
    """What the mailbox has in the place of its category list is none; it had better be left alone."""


class CategoryList:
    """The list, with everything in it that we do not know left as it is."""

    def __init__(self, data: bytes | None) -> None:
        """The document in ``data``, or a new one. Raises ``Unreadable``."""
        try:
            self._root = etree.fromstring(_EMPTY if data is None else data.strip(), _PARSER)
        except etree.XMLSyntaxError as error:
            raise Unreadable from error
        if self._root.tag != "{CategoryList.xsd}categories":
            raise Unreadable
        self._categories = {one.get("name", "").casefold(): one for one in self._root.iterfind(_CATEGORY)}

    def colours(self) -> dict[str, int]:
        """The number of each category's colour, by its name without case. Raises ``Unreadable``."""
        try:
            return {name: int(one.get("color", NO_COLOUR)) for name, one in self._categories.items()}
        except ValueError as error:
            raise Unreadable from error

    def put(self, name: str, colour: int) -> None:
        """Give the category this colour; make it, if there is none."""
        category = self._categories.get(name.casefold())
        if category is None:
            category = etree.SubElement(
                self._root,
                _CATEGORY,
                {
                    "name": name,
                    "color": str(colour),
                    "keyboardShortcut": "0",
                    "usageCount": "0",
                    **{f"lastTimeUsed{kind}": _NEVER for kind in _KINDS},
                    "lastSessionUsed": "0",
                    "guid": f"{{{str(uuid4()).upper()}}}",
                    "renameOnFirstUse": "0",
                },
            )
            self._categories[name.casefold()] = category
        category.set("color", str(colour))

    def save(self, now: datetime) -> bytes:
        """The document, as it was saved ``now`` (UTC)."""
        self._root.set("lastSavedTime", now.strftime("%Y-%m-%dT%H:%M:%S.000"))
        saved: bytes = etree.tostring(self._root, xml_declaration=True, encoding="utf-8")
        return saved


def wishes(operations: Sequence[Operation]) -> list[Wish]:
    """What these operations want of categories, which Exchange has as ``cut`` leaves them."""
    return colours.wishes(operations, lambda event: cut(event).categories)


def read_list(account: MailboxAccount) -> bytes | None:
    """The document; None if the mailbox has none.

    Raises what ``outcomes.FAILURES`` lists, and ``Unreadable``.
    """
    name = UserConfigurationNameMNS(name=_NAME, folder=default_calendar(account.address))
    content = account.post(GetUserConfiguration, user_configuration_name=name, properties="XmlData")
    (answer,) = read(content, "GetUserConfiguration", 1)
    if not_found(answer):
        return None
    good([answer])
    text = answer.message.findtext(f"{{{MNS}}}UserConfiguration/{{{TNS}}}XmlData")
    try:
        return base64.b64decode(text or "", validate=True) or None
    except binascii.Error as error:
        raise Unreadable from error


def write_list(account: MailboxAccount, data: bytes, *, new: bool, permit: Permit) -> None:
    """Put the document into the mailbox, which has none yet if it is ``new``. Raises as ``read_list``."""
    service = CreateUserConfiguration if new else UpdateUserConfiguration
    name = UserConfigurationName(name=_NAME, folder=default_calendar(account.address))
    configuration = UserConfiguration(user_configuration_name=name, xml_data=data)
    content = account.post(service, permit, user_configuration=configuration)
    good(read(content, service.SERVICE_NAME, 1))
