"""User configurations: named data that clients keep in a folder ([MS-OXWSUSRCFG]).

One of them is the master category list, ``CategoryList`` in the default calendar ([MS-OXOCFG] 2.2.5.2.2).
Exchange takes any data; that of a category list is checked here, because Outlook does.
"""

import base64
import binascii
import re

from lxml import etree

from providers.contract import Colour
from providers.sandbox.ews import identifiers
from providers.sandbox.ews.access import Caller
from providers.sandbox.ews.hierarchy import FOLDERS, Folder
from providers.sandbox.ews.soap import MESSAGES, TYPES, ResponseError, attribute
from providers.sandbox.state import Native, SandboxMailbox

__all__ = ["colours", "create", "delete", "get", "update"]

_T, _M = f"{{{TYPES}}}", f"{{{MESSAGES}}}"
_DATA = ("Dictionary", "XmlData", "BinaryData")
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)
_CATEGORY = "{CategoryList.xsd}category"
_GUID = re.compile(r"\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?")
_COLOURS: dict[str, Colour] = {
    "0": "red",
    "1": "orange",
    "3": "yellow",
    "4": "green",
    "5": "teal",
    "7": "blue",
    "8": "purple",
    "9": "cranberry",
    "12": "grey",
}


def get(caller: Caller, body: etree._Element, element: etree._Element) -> str:
    """GetUserConfiguration. Raises ``ResponseError``."""
    name = body.find(f"{_M}UserConfigurationName")
    assert name is not None
    mailbox, folder, found = _named(caller, name)
    kept = _kept(mailbox, folder, found)
    if kept is None:
        raise ResponseError("ErrorItemNotFound", "The specified object was not found in the store.")
    wanted = (body.findtext(f"{_M}UserConfigurationProperties") or "").split()
    parts = []
    if {"Id", "All"} & set(wanted):
        key = identifiers.change_key(kept["id"], kept["change"])
        parts.append(f'<t:ItemId Id="{kept["id"]}" ChangeKey="{key}"/>')
    parts += [kept[data] for data in _DATA if data in kept and {data, "All"} & set(wanted)]
    identifier = (
        f'<t:DistinguishedFolderId Id="{folder.name}"/>'
        if folder.distinguished
        else f'<t:FolderId Id="{folder.id(mailbox)}"/>'
    )
    return (
        f"<m:UserConfiguration><t:UserConfigurationName Name={attribute(found)}>{identifier}"
        f"</t:UserConfigurationName>{''.join(parts)}</m:UserConfiguration>"
    )


def create(caller: Caller, body: etree._Element, element: etree._Element) -> str:
    """CreateUserConfiguration. Raises ``ResponseError``."""
    return _write(caller, body, new=True)


def update(caller: Caller, body: etree._Element, element: etree._Element) -> str:
    """UpdateUserConfiguration of the data that is given. Raises ``ResponseError``."""
    return _write(caller, body, new=False)


def delete(caller: Caller, body: etree._Element, element: etree._Element) -> str:
    """DeleteUserConfiguration. Raises ``ResponseError``."""
    name = body.find(f"{_M}UserConfigurationName")
    assert name is not None
    mailbox, folder, found = _named(caller, name)
    if _kept(mailbox, folder, found) is None:
        raise ResponseError("ErrorItemNotFound", "The specified object was not found in the store.")
    del mailbox.native["configurations"][folder.name][found]
    mailbox.next_serial()
    return ""


def colours(mailbox: SandboxMailbox) -> dict[str, Colour]:
    """The colours of the mailbox's master categories, by their name without case."""
    kept = _kept(mailbox, FOLDERS["calendar"], "CategoryList") or {}
    root = _category_list(kept.get("XmlData", ""))
    return {} if root is None else {
        str(one.get("name")).casefold(): _COLOURS[str(one.get("color"))]
        for one in root.iterfind(_CATEGORY)
        if one.get("color") in _COLOURS
    }  # fmt: skip


def _write(caller: Caller, body: etree._Element, *, new: bool) -> str:
    configuration = body.find(f"{_M}UserConfiguration")
    assert configuration is not None
    mailbox, folder, name = _named(caller, configuration[0])
    kept = _kept(mailbox, folder, name)
    if new and kept is not None:
        raise ResponseError("ErrorItemSave", "Save failed: there is a configuration of this name.")
    if not new and kept is None:
        raise ResponseError("ErrorItemNotFound", "The specified object was not found in the store.")
    change = mailbox.next_serial()
    kept = kept or {"id": identifiers.item_id(mailbox.address, change)}
    for data in _DATA:
        given = configuration.find(f"{_T}{data}")
        if given is not None:
            kept[data] = _text(given)
    kept["change"] = change
    mailbox.native.setdefault("configurations", {}).setdefault(folder.name, {})[name] = kept
    if name == "CategoryList":
        caller.state.violations.extend(
            f"ews category list: {one}" for one in _faults(kept.get("XmlData", ""))
        )
    return ""


def _text(element: etree._Element) -> str:
    """The element as it goes into an answer, where the prefix ``t`` is declared."""
    if len(element) == 0:
        name = element.tag.rpartition("}")[2]
        return f"<t:{name}>{''.join((element.text or '').split())}</t:{name}>"
    return etree.tostring(element, encoding="unicode", with_tail=False)


def _named(caller: Caller, name: etree._Element) -> tuple[SandboxMailbox, Folder, str]:
    mailbox, folder = caller.folder(name[0])
    return mailbox, folder, str(name.get("Name"))


def _kept(mailbox: SandboxMailbox, folder: Folder, name: str) -> Native | None:
    found: Native | None = mailbox.native.get("configurations", {}).get(folder.name, {}).get(name)
    return found


def _category_list(xml_data: str) -> etree._Element | None:
    """The document in an XmlData element; None if there is none that can be read."""
    text = xml_data.removeprefix("<t:XmlData>").removesuffix("</t:XmlData>")
    try:
        root = etree.fromstring(base64.b64decode(text, validate=True), _PARSER)
    except (binascii.Error, etree.XMLSyntaxError):
        return None
    return root if root.tag == "{CategoryList.xsd}categories" else None


def _faults(xml_data: str) -> list[str]:
    """What is wrong with a category list, by the schema in [MS-OXOCFG]."""
    root = _category_list(xml_data)
    if root is None:
        return ["no document with the root element 'categories' in the namespace 'CategoryList.xsd'"]
    found = []
    for one in root:
        if one.tag != _CATEGORY or not one.get("name"):
            found.append(f"{one.tag} is not a category with a name")
        if not re.fullmatch(r"-1|\d|1\d|2[0-4]", one.get("color", "")):
            found.append("color is not a number from -1 to 24")
        if not re.fullmatch(r"\d|1[01]", one.get("keyboardShortcut", "")):
            found.append("keyboardShortcut is not a number from 0 to 11")
        if not _GUID.fullmatch(one.get("guid", "")):
            found.append("guid is not one in braces")
        times = (value for name, value in one.attrib.items() if str(name).startswith("lastTimeUsed"))
        if not all(_TIME.fullmatch(str(value)) for value in times):
            found.append("lastTimeUsed is not a time")
    names = [str(one.get("name")).casefold() for one in root]
    if len(set(names)) < len(names):
        found.append("a category is there twice")
    return found
