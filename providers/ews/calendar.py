"""The calendar of one mailbox: the EWS operations that Rooster uses, each one request.

Everything here blocks, and raises what ``outcomes.FAILURES`` lists. exchangelib writes the requests.
"""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy

import msgspec
from exchangelib.fields import FieldOrder, FieldPath
from exchangelib.folders import Calendar as CalendarFolder
from exchangelib.items import (
    ALL_OCCURRENCES,
    ALWAYS_OVERWRITE,
    ID_ONLY,
    NEVER_OVERWRITE,
    SAVE_ONLY,
    SEND_TO_NONE,
    SHALLOW,
    SOFT_DELETE,
    CalendarItem,
)
from exchangelib.properties import DistinguishedFolderId, FolderId, ItemId, Mailbox
from exchangelib.services import CreateItem, DeleteItem, FindItem, GetFolder, MoveItem, UpdateItem
from lxml import etree

from providers.contract import Permit, RemoteEvent, always
from providers.ews.items import MARKER_FIELDS, AnyOf, OwnedItem
from providers.ews.outcomes import not_found
from providers.ews.reading import ALL_FIELDS, FoundItem, GetItemAsText, read_found, read_item
from providers.ews.session import Endpoint, MailboxAccount
from providers.ews.soap import MNS, TNS, Answer, Fault, Malformed, read

__all__ = ["Calendar", "Folder", "default_calendar", "good"]

PAGE = 250
"""Items that one FindItem with a restriction returns."""

CONTENTS = 2 * PAGE
"""Items whose content one GetItem reads, or a few more."""

MAX_PASSES = 20
"""How often a calendar that changes while it is read is read anew."""

_OLDEST_FIRST = FieldOrder(FieldPath(field=CalendarItem.get_field_by_fieldname("datetime_created")))
"""So that an event comes before the copies that a person made of it, and pages keep their order."""

_EFFECTIVE_RIGHTS = FieldPath(field=CalendarFolder.get_field_by_fieldname("effective_rights"))


class Folder(msgspec.Struct, frozen=True):
    """The calendar folder: its id, and whether events may be read and created in it."""

    id: str
    usable: bool


class _Page(msgspec.Struct, frozen=True):
    events: list[FoundItem]
    items: int
    """How many items the page has, those that are no event of ours included."""

    total: int
    next_offset: int | None


class Calendar:
    """A calendar of a mailbox: the default one, unless a folder's id is given.

    Nobody ever gets mail from anything done here: no attendees, and every write says SendToNone.
    ``permit`` is called right before each request that writes.
    """

    def __init__(
        self,
        address: str,
        endpoint: Endpoint,
        access_type: str,
        folder_id: str | None = None,
        permit: Permit = always,
    ) -> None:
        self.account = MailboxAccount(address, endpoint, access_type)
        self.permit = permit
        self.folder_id = _folder_id(address, folder_id)

    def other(self, folder_id: str | None) -> "Calendar":
        """Another calendar of the same mailbox."""
        other = copy(self)
        other.folder_id = _folder_id(self.account.address, folder_id)
        return other

    def folder(self) -> Folder:
        """The folder itself, which proves that it is there and can be seen.

        Of the effective rights, Read and CreateContents tell what we may do with events: Modify and Delete
        are about the folder, which an Editor can neither rename nor delete. A server that says nothing
        about rights is taken to allow them.
        """
        content = self.account.post(
            GetFolder, folders=[self.folder_id], additional_fields=[_EFFECTIVE_RIGHTS], shape=ID_ONLY
        )
        (answer,) = good(read(content, "GetFolder", 1))
        folder = answer.message.find(f"{{{MNS}}}Folders/*")
        folder_id = None if folder is None else folder.find(f"{{{TNS}}}FolderId")
        if folder is None or folder_id is None or not folder_id.get("Id"):
            raise Malformed("a folder without an id")
        rights = [
            folder.findtext(f"{{{TNS}}}EffectiveRights/{{{TNS}}}{name}")
            for name in ("Read", "CreateContents")
        ]
        return Folder(folder_id.get("Id", ""), usable=not {"false", "0"}.intersection(rights))

    def create(self, items: Sequence[OwnedItem]) -> list[Answer]:
        """CreateItem, one answer an item."""
        content = self.account.post(
            CreateItem,
            self.permit,
            items=items,
            folder=self.folder_id,
            message_disposition=SAVE_ONLY,
            send_meeting_invitations=SEND_TO_NONE,
        )
        return read(content, "CreateItem", len(items))

    def update(self, items: Sequence[tuple[OwnedItem, list[str]]], *, overwrite: bool) -> list[Answer]:
        """UpdateItem of the named fields, one answer an item.

        NeverOverwrite: an item that has another ChangeKey by now is refused, and stays as it is. With
        ``overwrite``, AlwaysOverwrite: the named fields are set whatever the item is like. AutoResolve is
        neither: "in some cases, the new value is ignored" ([MS-OXWSCORE] 3.1.4.9.4.1).
        """
        content = self.account.post(
            UpdateItem,
            self.permit,
            items=items,
            conflict_resolution=ALWAYS_OVERWRITE if overwrite else NEVER_OVERWRITE,
            message_disposition=SAVE_ONLY,
            send_meeting_invitations_or_cancellations=SEND_TO_NONE,
            suppress_read_receipts=True,
        )
        return read(content, "UpdateItem", len(items))

    def delete(self, ids: Sequence[tuple[str, str | None]]) -> list[Answer]:
        """DeleteItem of (id, ChangeKey), one answer an item.

        SoftDelete: it goes to Recoverable Items at once. MoveToDeletedItems would bury the person's own
        deleted things under hundreds of lectures, and HardDelete would take their notes in the event away
        where they cannot get them back ("Deleting items by using EWS in Exchange", learn.microsoft.com).
        """
        content = self.account.post(
            DeleteItem,
            self.permit,
            items=[ItemId(*item_id) for item_id in ids],
            delete_type=SOFT_DELETE,
            send_meeting_cancellations=SEND_TO_NONE,
            affected_task_occurrences=ALL_OCCURRENCES,
            suppress_read_receipts=True,
        )
        return read(content, "DeleteItem", len(ids))

    def move(self, ids: Sequence[str], folder_id: str | None) -> list[Answer]:
        """MoveItem into another calendar of the mailbox, one answer an item, with the id that it has there.

        All that is in an item goes along, named properties and attachments too. There is no notice to
        suppress (MoveItem has no such attribute): attendees hear nothing of it.
        """
        content = self.account.post(
            MoveItem,
            self.permit,
            items=[ItemId(id) for id in ids],
            to_folder=self.other(folder_id).folder_id,
        )
        return read(content, "MoveItem", len(ids))

    def get(self, ids: Sequence[str]) -> list[Answer]:
        """GetItem of all that Rooster owns in these items, one answer an item; see ``reading.read_item``."""
        content = self.account.post(
            GetItemAsText, items=[ItemId(id) for id in ids], additional_fields=ALL_FIELDS, shape=ID_ONLY
        )
        return read(content, "GetItem", len(ids))

    def find(self, property_name: str, values: Iterable[str]) -> Iterator[list[RemoteEvent]]:
        """Page by page, each event once whose marker property has one of the values, by Exchange's reckoning.

        Complete, although pages are counted off from the start and items come and go meanwhile: until a
        pass has shown as many items as there were all along, there is another one. Raises Malformed if it
        never does.
        """
        restriction = AnyOf(property_name, values)
        seen: set[str] = set()
        for _ in range(MAX_PASSES):
            offset: int | None = 0
            items, totals, vanished = 0, set(), False
            fresh: dict[str, FoundItem] = {}
            while offset is not None:
                page = self._page(restriction, offset)
                fresh |= {event.id: event for event in page.events if event.id not in seen}
                items += page.items
                totals.add(page.total)
                offset = page.next_offset
                if offset is not None and len(fresh) < CONTENTS:
                    continue
                events = self.with_content(list(fresh.values()))
                # Gone, or not to be read any more: the next pass will tell which.
                vanished |= len(events) < len(fresh)
                seen.update(event.id for event in events)
                fresh = {}
                if events:
                    yield events
            if totals == {items} and not vanished:
                return
        raise Malformed("the calendar keeps changing while it is read")

    def with_content(self, events: Sequence[FoundItem]) -> list[RemoteEvent]:
        """The events with what they hold, without those that are not found any more.

        FindItem cannot tell: it gives no bodies, and 255 characters of any text.
        """
        if not events:
            return []
        answers = self.get([event.id for event in events])
        found = [pair for pair in zip(events, answers, strict=True) if not not_found(pair[1])]
        good([answer for _, answer in found])
        held = [(event, read_item(answer.item)) for event, answer in found]
        return [
            RemoteEvent(id=event.id, version=item.version, marker=event.marker, content=item.content)
            for event, item in held
        ]

    def _page(self, restriction: AnyOf, offset: int) -> _Page:
        content = self.account.post(
            FindItem,
            folders=[self.folder_id],
            additional_fields=MARKER_FIELDS,
            restriction=restriction,
            order_fields=[_OLDEST_FIRST],
            query_string=None,
            shape=ID_ONLY,
            depth=SHALLOW,
            calendar_view=None,
            page_size=PAGE,
            offset=offset,
        )
        (answer,) = good(read(content, "FindItem", 1))
        return _read_page(answer.message, offset)


def default_calendar(address: str) -> DistinguishedFolderId:
    """The default calendar of the mailbox with this address."""
    return DistinguishedFolderId(id="calendar", mailbox=Mailbox(email_address=address))


def _folder_id(address: str, folder_id: str | None) -> FolderId | DistinguishedFolderId:
    return FolderId(id=folder_id) if folder_id else default_calendar(address)


def good(answers: list[Answer]) -> list[Answer]:
    """The answers to a request to read, which is of no use if it was refused."""
    for answer in answers:
        if answer.code != "NoError":
            raise Fault(answer.code, answer.back_off)
    return answers


def _read_page(message: etree._Element, offset: int) -> _Page:
    root = message.find(f"{{{MNS}}}RootFolder")
    container = None if root is None else root.find(f"{{{TNS}}}Items")
    if root is None or container is None:
        raise Malformed("a page without items")
    elements = list(container)
    last = root.get("IncludesLastItemInRange", "").lower() in ("true", "1")
    try:
        total = int(root.get("TotalItemsInView", ""))
        following = int(root.get("IndexedPagingOffset") or offset + len(elements))
    except ValueError as error:
        raise Malformed("a page without numbers") from error
    # An offset that does not move on would lead back here for ever; so would a page with nothing on it.
    going_on = not last and elements and following > offset
    events = [event for event in map(read_found, elements) if event is not None]
    return _Page(events, len(elements), total, following if going_on else None)
