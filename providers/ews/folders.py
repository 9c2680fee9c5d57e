"""The calendars of a mailbox: found, made for Rooster, and taken away again.

One that we made is a folder below the default calendar and carries our mark: the properties ``INSTANCE``
and ``CALENDAR`` of ``providers.marker``, which stay what they are when its owner gives it another name.
Everything here blocks, and raises what ``outcomes.FAILURES`` lists.
"""

from collections.abc import Iterator, Sequence

import msgspec
from exchangelib.extended_properties import ExtendedProperty
from exchangelib.fields import CharField, ExtendedPropertyField, FieldPath
from exchangelib.folders import Calendar as CalendarFolder
from exchangelib.items import ID_ONLY, SHALLOW, SOFT_DELETE
from exchangelib.properties import DistinguishedFolderId, EWSElement, FolderId, Mailbox
from exchangelib.services import CreateFolder, DeleteFolder, FindFolder, GetFolder
from lxml import etree

from providers.contract import Calendar, Permit, ProviderError, Refused
from providers.ews.calendar import default_calendar, good
from providers.ews.outcomes import folder_gone
from providers.ews.reading import properties
from providers.ews.session import MailboxAccount
from providers.ews.soap import MNS, TNS, Fault, Malformed, read
from providers.marker import CALENDAR, INSTANCE, PROPERTY_SET

__all__ = ["calendars", "check_in_use", "make_calendar", "remove_calendar"]

PAGE = 500
"""Folders that one FindFolder returns at the most."""

MAX_NAMES = 50
"""How many names we try before we say that there are too many calendars of that name."""

CALENDAR_CLASS = "IPF.Appointment"
"""Of folders for events; those of others, such as IPF.Appointment.Birthday, are filled by Exchange."""


class _Instance(ExtendedProperty):  # type: ignore[misc]
    property_set_id = str(PROPERTY_SET)
    property_name = INSTANCE
    property_type = "String"


class _Calendar(ExtendedProperty):  # type: ignore[misc]
    property_set_id = str(PROPERTY_SET)
    property_name = CALENDAR
    property_type = "String"


class _OwnedFolder(EWSElement):  # type: ignore[misc]
    """A CalendarFolder with a name and our mark."""

    ELEMENT_NAME = "CalendarFolder"

    display_name = CharField(field_uri="folder:DisplayName")
    instance = ExtendedPropertyField(value_cls=_Instance)
    calendar = ExtendedPropertyField(value_cls=_Calendar)


_FIELDS = [
    *(FieldPath(field=CalendarFolder.get_field_by_fieldname(name)) for name in (
        "parent_folder_id", "folder_class", "name", "total_count", "child_folder_count", "effective_rights",
    )),
    *(FieldPath(field=_OwnedFolder.get_field_by_fieldname(name)) for name in ("instance", "calendar")),
]  # fmt: skip


class _Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder as Exchange shows it."""

    id: str
    parent: str
    name: str
    kind: str
    usable: bool
    empty: bool
    instance: str | None
    made_as: str | None

    def calendar(self, instance: str, *, is_default: bool = False) -> Calendar:
        """The folder in the contract's words, to ``instance``."""
        ours = self.instance == instance and self.made_as is not None
        name = self.made_as if ours and self.made_as is not None else self.name
        return Calendar(id=self.id, name=name, is_default=is_default, ours=ours)


def calendars(account: MailboxAccount, instance: str, *, delegate: bool) -> list[Calendar]:
    """The default calendar, those anywhere below it, and those beside it, which a delegate does not see.

    Others that are elsewhere, such as in Deleted Items, are none to put events into.
    """
    default = _get(account, [default_calendar(account.address)])[0]
    if default is None:
        raise Malformed("a mailbox without a calendar")
    found = {folder.id: folder for folder in _find(account, default_calendar(account.address), "Deep")}
    if not delegate:
        root = _distinguished(account, "msgfolderroot")
        found |= {folder.id: folder for folder in _find(account, root, SHALLOW)}
    found.pop(default.id, None)
    usable = [one for one in found.values() if one.usable and one.kind == CALENDAR_CLASS]
    return [default.calendar(instance, is_default=True), *(one.calendar(instance) for one in usable)]


def make_calendar(account: MailboxAccount, instance: str, name: str, permit: Permit) -> Calendar:
    """CreateFolder, with a number behind the name where somebody has a calendar of that name.

    Raises ProviderError (Refused) too, where all numbers that we try are taken.
    """
    for number in range(1, MAX_NAMES + 1):
        display_name = name if number == 1 else f"{name} {number}"
        folder = _OwnedFolder(
            display_name=display_name, instance=_Instance(instance), calendar=_Calendar(name)
        )
        content = account.post(
            CreateFolder, permit, folders=[folder], parent_folder=default_calendar(account.address)
        )
        (answer,) = read(content, "CreateFolder", 1)
        if answer.code == "ErrorFolderExists":
            continue
        good([answer])
        identifier = answer.message.find(f"{{{MNS}}}Folders/*/{{{TNS}}}FolderId")
        if identifier is None or not identifier.get("Id"):
            raise Malformed("a folder without an id")
        return Calendar(id=identifier.get("Id", ""), name=name, is_default=False, ours=True)
    raise ProviderError(
        Refused(
            code="ErrorFolderExists",
            reason=f"The mailbox has {MAX_NAMES} calendars of the same name. Delete or rename some of them.",
            scope="mailbox",
        )
    )


def remove_calendar(account: MailboxAccount, instance: str, folder_id: str, permit: Permit) -> bool:
    """DeleteFolder, if this instance made it and there is nothing in it. Whether it is gone.

    The default calendar is looked at as well: where that cannot be seen, "not found" means nothing.
    SoftDelete, so that what came into it in this moment can be recovered.
    """
    own = FolderId(id=folder_id)
    _, folder = _get(account, [default_calendar(account.address), own])
    if folder is None:
        return True
    if not folder.calendar(instance).ours or not folder.empty:
        return False
    content = account.post(DeleteFolder, permit, folders=[own], delete_type=SOFT_DELETE)
    (answer,) = read(content, "DeleteFolder", 1)
    if not folder_gone(answer.code):
        good([answer])
    return True


def check_in_use(account: MailboxAccount, folder_id: str) -> None:
    """See that its owner has not thrown the calendar away: that puts it, as it is, into Deleted Items.

    Exchange would let us go on to fill it there. Raises Fault (ErrorFolderNotFound) if so, or if there is
    none. Not for delegates, who do not see Deleted Items.
    """
    folder, deleted = _get(account, [FolderId(id=folder_id), _distinguished(account, "deleteditems")])
    if folder is not None and deleted is not None and folder.parent == deleted.id:
        raise Fault("ErrorFolderNotFound")


def _distinguished(account: MailboxAccount, name: str) -> DistinguishedFolderId:
    return DistinguishedFolderId(id=name, mailbox=Mailbox(email_address=account.address))


def _get(account: MailboxAccount, ids: Sequence[FolderId]) -> list[_Folder | None]:
    """These folders; None in the place of one that is not there, other than the first."""
    content = account.post(GetFolder, folders=ids, additional_fields=_FIELDS, shape=ID_ONLY)
    answers = read(content, "GetFolder", len(ids))
    good([answer for i, answer in enumerate(answers) if i == 0 or not folder_gone(answer.code)])
    elements = (answer.message.find(f"{{{MNS}}}Folders/*") for answer in answers)
    return [None if element is None else _read(element) for element in elements]


def _find(account: MailboxAccount, parent: FolderId, depth: str) -> Iterator[_Folder]:
    """The folders below this one, at any depth or directly."""
    offset: int | None = 0
    while offset is not None:
        content = account.post(
            FindFolder,
            folders=[parent],
            additional_fields=_FIELDS,
            restriction=None,
            shape=ID_ONLY,
            depth=depth,
            page_size=PAGE,
            offset=offset,
        )
        (answer,) = good(read(content, "FindFolder", 1))
        root = answer.message.find(f"{{{MNS}}}RootFolder")
        container = None if root is None else root.find(f"{{{TNS}}}Folders")
        if root is None or container is None:
            raise Malformed("a page without folders")
        yield from map(_read, container)
        following = offset + len(container)
        last = root.get("IncludesLastItemInRange", "").lower() in ("true", "1")
        offset = None if last or following == offset else following


def _read(element: etree._Element) -> _Folder:
    identifier = element.find(f"{{{TNS}}}FolderId")
    if identifier is None or not identifier.get("Id"):
        raise Malformed("a folder without an id")
    parent = element.find(f"{{{TNS}}}ParentFolderId")
    marks = dict(properties(element))
    counts = [element.findtext(f"{{{TNS}}}{name}") for name in ("TotalCount", "ChildFolderCount")]
    rights = [
        element.findtext(f"{{{TNS}}}EffectiveRights/{{{TNS}}}{name}") for name in ("Read", "CreateContents")
    ]
    return _Folder(
        id=identifier.get("Id", ""),
        parent="" if parent is None else parent.get("Id", ""),
        name=element.findtext(f"{{{TNS}}}DisplayName") or "",
        kind=element.findtext(f"{{{TNS}}}FolderClass") or "",
        usable=not {"false", "0"}.intersection(rights),
        empty=counts == ["0", "0"],
        instance=marks.get(INSTANCE),
        made_as=marks.get(CALENDAR),
    )
