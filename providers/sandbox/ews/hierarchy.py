"""The folders of a mailbox: those that every mailbox has, and the calendars that somebody made."""

from collections.abc import Iterator
from secrets import token_hex

import msgspec

from providers.sandbox.ews import identifiers
from providers.sandbox.ews.soap import ResponseError
from providers.sandbox.state import SandboxCalendar, SandboxMailbox

__all__ = ["FOLDERS", "Folder", "add_calendar", "all_folders", "children", "find_folder", "rename"]


class Folder(msgspec.Struct, frozen=True):
    """A folder, with what its folder id and its element are made from."""

    name: str
    """Its distinguished name, or the name by which the sandbox keeps what is in it."""
    display: str
    parent: str
    element: str = "Folder"
    folder_class: str = "IPF.Note"
    extended: dict[str, str | list[str]] = {}
    """Extended properties, by the XML of their path."""
    change: int = 1

    @property
    def distinguished(self) -> bool:
        """Whether every mailbox has it."""
        return self.name in FOLDERS

    def id(self, mailbox: SandboxMailbox) -> str:
        """The folder's id in this mailbox."""
        return identifiers.folder_id(mailbox.address, self.name)


FOLDERS = {
    folder.name: folder
    for folder in (
        Folder("root", "Root", "root", folder_class=""),
        Folder("msgfolderroot", "Top of Information Store", "root", folder_class=""),
        Folder("calendar", "Calendar", "msgfolderroot", "CalendarFolder", "IPF.Appointment"),
        Folder("contacts", "Contacts", "msgfolderroot", "ContactsFolder", "IPF.Contact"),
        Folder("deleteditems", "Deleted Items", "msgfolderroot"),
        Folder("drafts", "Drafts", "msgfolderroot"),
        Folder("inbox", "Inbox", "msgfolderroot"),
        Folder("junkemail", "Junk Email", "msgfolderroot"),
        Folder("outbox", "Outbox", "msgfolderroot"),
        Folder("sentitems", "Sent Items", "msgfolderroot"),
        Folder("tasks", "Tasks", "msgfolderroot", "TasksFolder", "IPF.Task"),
    )
}


def _folder(calendar: SandboxCalendar) -> Folder:
    return Folder(
        identifiers.read_folder_id(calendar.id)[1],
        calendar.name,
        calendar.native["parent"],
        "CalendarFolder",
        "IPF.Appointment",
        calendar.native["extended"],
        calendar.native["change"],
    )


def all_folders(mailbox: SandboxMailbox) -> Iterator[Folder]:
    """Every folder of the mailbox."""
    yield from FOLDERS.values()
    yield from map(_folder, mailbox.calendars.values())


def find_folder(mailbox: SandboxMailbox, name: str) -> Folder | None:
    """The folder of this name, or None."""
    if name in FOLDERS:
        return FOLDERS[name]
    calendar = mailbox.calendars.get(identifiers.folder_id(mailbox.address, name))
    return None if calendar is None else _folder(calendar)


def children(mailbox: SandboxMailbox, folder: Folder, *, deep: bool) -> Iterator[Folder]:
    """The folders in a folder; with ``deep`` also those below them."""
    for child in list(all_folders(mailbox)):
        if child.parent == folder.name and child.name != folder.name:
            yield child
            if deep:
                yield from children(mailbox, child, deep=True)


def add_calendar(
    mailbox: SandboxMailbox,
    name: str,
    *,
    parent: Folder = FOLDERS["calendar"],
    extended: dict[str, str | list[str]] | None = None,
) -> SandboxCalendar:
    """Make a calendar. Raises ``ResponseError`` ErrorFolderExists, or ErrorFolderSavePropertyError."""
    _check_name(mailbox, parent, name)
    change = mailbox.next_serial()
    calendar = SandboxCalendar(
        id=identifiers.folder_id(mailbox.address, f"{change}-{token_hex(8)}"),
        name=name,
        native={"parent": parent.name, "change": change, "extended": extended or {}},
    )
    mailbox.calendars[calendar.id] = calendar
    return calendar


def rename(mailbox: SandboxMailbox, folder: Folder, name: str) -> None:
    """Give a calendar that somebody made another name. Raises as ``add_calendar``."""
    parent = find_folder(mailbox, folder.parent)
    if parent is not None and name.casefold() != folder.display.casefold():
        _check_name(mailbox, parent, name)
    mailbox.calendars[folder.id(mailbox)].name = name


def _check_name(mailbox: SandboxMailbox, parent: Folder, name: str) -> None:
    """Names are unique in a folder, without regard to case ([MS-OXCFOLD] 2.2.1.2.2)."""
    if not name.strip():
        raise ResponseError("ErrorFolderSavePropertyError", "A folder needs a DisplayName.")
    names = {child.display.casefold() for child in children(mailbox, parent, deep=False)}
    if name.casefold() in names:
        raise ResponseError("ErrorFolderExists", "A folder with the specified name already exists.")
