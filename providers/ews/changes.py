"""What has changed in a calendar, by SyncFolderItems ([MS-OXWSSYNC] 3.1.4.2).

It tells of everything in a calendar, other people's events included, but gives no bodies: the content of
ours is read by GetItem. Everything here blocks, and raises what ``outcomes.FAILURES`` lists.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import NoReturn

import msgspec
from exchangelib.fields import FieldPath
from exchangelib.items import ID_ONLY, CalendarItem
from exchangelib.services import SyncFolderItems
from lxml import etree

from providers.contract import Changes, Mailbox, StartOver
from providers.ews.calendar import Calendar, good
from providers.ews.items import MARKER_FIELDS
from providers.ews.reading import FoundItem, read_found
from providers.ews.soap import MNS, TNS, Malformed, read

__all__ = ["changes"]

PAGE = 512
"""Changes that one SyncFolderItems returns at the most ([MS-OXWSSYNC] 3.1.4.2.4.1); GetItem reads as many."""

MAX_PASSES = 20
"""How often we ask anew while events vanish between the two requests."""

VERSION = "ews1"
"""Begins every state that we give out. Another number for another form."""

_CREATED = FieldPath(field=CalendarItem.get_field_by_fieldname("datetime_created"))


class _Round(msgspec.Struct):
    """All that has changed since a state, each item as it was mentioned last."""

    items: dict[str, tuple[str, FoundItem | None]] = {}
    """By id: when it was made (ISO 8601, UTC), and the item if it carries a marker."""
    gone: set[str] = set()
    state: str = ""


def changes(calendar: Calendar, mailbox: Mailbox, instance: str, since: str | None) -> Iterator[Changes]:
    """The pages of ``Adapter.changes``.

    An item that has lost its marker, as some clients drop properties that they do not know, is none of
    ours any more and named as removed; so are other people's that have changed.

    Raises ``StartOver``.
    """
    known = _state(since, mailbox, instance)
    missing: set[str] = set()
    for _ in range(MAX_PASSES):
        first = known is None
        found = _sync(calendar, known)
        if missing - found.gone - found.items.keys():
            raise Malformed("an event that is in the calendar cannot be read")
        ours = sorted(
            (
                (made, item)
                for made, item in found.items.values()
                if item and item.marker.instance == instance
            ),
            key=lambda one: one[0],
        )
        removed = found.gone
        if not first:
            removed = removed | found.items.keys() - {item.id for _, item in ours}
        missing = set()
        for start in range(0, len(ours) or 1, PAGE):
            some = [item for _, item in ours[start : start + PAGE]]
            events = calendar.with_content(some)
            missing |= {item.id for item in some} - {event.id for event in events}
            last = start + PAGE >= len(ours) and not missing
            yield Changes(
                events=tuple(events),
                removed=() if start else tuple(sorted(removed)),
                state=_seal(found.state, mailbox, instance) if last else None,
            )
        if not missing:
            return
        known = found.state
    raise Malformed("the calendar keeps changing while it is read")


def _sync(calendar: Calendar, state: str | None) -> _Round:
    found = _Round()
    complete = False
    while not complete:
        message = _page(calendar, state)
        for change in message.iterfind(f"{{{MNS}}}Changes/*"):
            _take(found, change)
        following = message.findtext(f"{{{MNS}}}SyncState")
        last = message.findtext(f"{{{MNS}}}IncludesLastItemInRange")
        if not following or last is None:
            raise Malformed("a page of changes without a state")
        complete = last.strip().lower() in ("true", "1")
        if not complete and following == state:
            raise Malformed("changes that do not come to an end")
        state = found.state = following
    return found


def _page(calendar: Calendar, state: str | None) -> etree._Element:
    content = calendar.account.post(
        SyncFolderItems,
        folder=calendar.folder_id,
        shape=ID_ONLY,
        additional_fields=[*MARKER_FIELDS, _CREATED],
        sync_state=state,
        ignore=None,
        max_changes_returned=PAGE,
        sync_scope=None,
    )
    (answer,) = read(content, "SyncFolderItems", 1)
    if answer.code == "ErrorInvalidSyncStateData" and state is not None:
        _start_over()
    good([answer])
    return answer.message


def _take(found: _Round, change: etree._Element) -> None:
    """One change; that somebody has read an item (ReadFlagChange) is none of ours."""
    kind = etree.QName(change).localname
    item_id = change.find(f".//{{{TNS}}}ItemId")
    if kind not in ("Create", "Update", "Delete"):
        return
    if item_id is None or not item_id.get("Id"):
        raise Malformed("a change of nothing")
    id = item_id.get("Id", "")
    if kind == "Delete":
        found.items.pop(id, None)
        found.gone.add(id)
    else:
        found.gone.discard(id)
        found.items[id] = (change[0].findtext(f"{{{TNS}}}DateTimeCreated") or "", read_found(change[0]))


def _seal(state: str, mailbox: Mailbox, instance: str) -> str:
    return f"{VERSION}.{_scope(mailbox, instance)}.{state}"


def _state(since: str | None, mailbox: Mailbox, instance: str) -> str | None:
    """Exchange's own state in ours. Raises ``StartOver`` if ours is none, or one of another calendar."""
    if since is None:
        return None
    version, _, rest = since.partition(".")
    scope, _, state = rest.partition(".")
    if version != VERSION or scope != _scope(mailbox, instance) or not state:
        _start_over()
    return state


def _scope(mailbox: Mailbox, instance: str) -> str:
    """What a state is good for: one calendar, and the events of one instance."""
    parts = (mailbox.identity, mailbox.calendar or "", instance)
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def _start_over() -> NoReturn:
    raise StartOver("Exchange does not know this state any more")
