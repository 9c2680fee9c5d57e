"""FindItem: pages, calendar views, restrictions and orders over the items of a folder."""

from collections.abc import Callable
from datetime import timedelta

from lxml import etree

from providers.sandbox.ews import timezones
from providers.sandbox.ews.access import Caller
from providers.sandbox.ews.properties import View, moment, render_item
from providers.sandbox.ews.search import restriction, sorted_items
from providers.sandbox.ews.shapes import view
from providers.sandbox.ews.soap import MESSAGES, ResponseError
from providers.sandbox.state import Native, SandboxMailbox

__all__ = ["find_in_folder"]

_M = f"{{{MESSAGES}}}"
MAX_PAGE = 1000
MAX_RESTRICTED_PAGE = 250
"""With a restriction a page holds no more, whatever was asked for."""
LONGEST_VIEW = timedelta(days=2 * 366)


def find_in_folder(caller: Caller, body: etree._Element, folder_id: etree._Element) -> str:
    """The RootFolder element for one of the request's folders. Raises ``ResponseError``."""
    mailbox, folder = caller.folder(folder_id)
    shape = body.find(f"{_M}ItemShape")
    assert shape is not None
    shown = view(shape, mailbox, find=True)
    items = [native for native in mailbox.events.values() if native["folder"] == folder.name]
    if body.get("Traversal") != "Shallow":
        items = []
    calendar_view = body.find(f"{_M}CalendarView")
    condition, order = body.find(f"{_M}Restriction"), body.find(f"{_M}SortOrder")
    if calendar_view is not None:
        if folder.element != "CalendarFolder":
            raise ResponseError(
                "ErrorCalendarFolderIsInvalidForCalendarView", "A calendar view is for calendar folders only."
            )
        if condition is not None or order is not None:
            raise ResponseError(
                "ErrorInvalidOperation", "Restrictions and sort orders cannot be used with a calendar view."
            )
        return _calendar_page(items, calendar_view, shown, caller.zone)
    items = _matching(items, condition, mailbox)
    items = sorted_items(items, order, mailbox)
    for name in ("FractionalPageItemView", "SeekToConditionPageItemView", "ContactsView", "GroupBy",
                 "DistinguishedGroupBy", "QueryString"):  # fmt: skip
        if body.find(f"{_M}{name}") is not None:
            raise ResponseError("ErrorInvalidOperation", f"The sandbox does not know {name}.")
    return _page(items, body.find(f"{_M}IndexedPageItemView"), shown, restricted=condition is not None)


def _matching(items: list[Native], condition: etree._Element | None, mailbox: SandboxMailbox) -> list[Native]:
    if condition is None:
        return items
    test: Callable[[Native], bool] = restriction(condition[0], mailbox)
    return [native for native in items if test(native)]


def _page(items: list[Native], page: etree._Element | None, shown: View, *, restricted: bool) -> str:
    limit = MAX_RESTRICTED_PAGE if restricted else MAX_PAGE
    total, offset, backwards = len(items), 0, False
    if page is not None:
        offset = int(str(page.get("Offset")))
        wanted = page.get("MaxEntriesReturned")
        if offset < 0:
            raise ResponseError("ErrorInvalidIndexedPagingParameters", "Offset must not be negative.")
        if wanted is not None and int(wanted) < 1:
            raise ResponseError("ErrorInvalidPagingMaxRows", "MaxEntriesReturned must be greater than zero.")
        limit = min(limit, int(wanted)) if wanted is not None else limit
        backwards = page.get("BasePoint") == "End"
    offset = min(offset, total)
    if backwards:
        until = total - offset
        chosen = items[max(0, until - limit) : until]
        next_offset, last = offset + len(chosen), until <= limit
    else:
        chosen = items[offset : offset + limit]
        next_offset, last = offset + len(chosen), offset + limit >= total
    return _root(chosen, shown, total, last, next_offset)


def _calendar_page(items: list[Native], span: etree._Element, shown: View, zone: str | None) -> str:
    start = timezones.to_utc(str(span.get("StartDate")), zone or "UTC")
    end = timezones.to_utc(str(span.get("EndDate")), zone or "UTC")
    if end < start:
        raise ResponseError("ErrorCalendarEndDateIsEarlierThanStartDate", "EndDate is earlier than StartDate")
    if end - start > LONGEST_VIEW:
        raise ResponseError("ErrorCalendarViewRangeTooBig", "The view may cover two years at the most.")
    chosen = sorted(
        (
            native
            for native in items
            if moment(native["fields"]["calendar:Start"]) < end
            and moment(native["fields"]["calendar:End"]) > start
        ),
        key=lambda native: str(native["fields"]["calendar:Start"]),
    )
    wanted = span.get("MaxEntriesReturned")
    if wanted is not None and int(wanted) < 1:
        raise ResponseError("ErrorInvalidPagingMaxRows", "MaxEntriesReturned must be greater than zero.")
    if wanted is None and len(chosen) > MAX_PAGE:
        raise ResponseError(
            "ErrorExceededFindCountLimit", "The view holds too many items: ask for a smaller part of it."
        )
    limit = MAX_PAGE if wanted is None else int(wanted)
    return _root(chosen[:limit], shown, len(chosen), len(chosen) <= limit, None)


def _root(chosen: list[Native], shown: View, total: int, last: bool, next_offset: int | None) -> str:
    offset = "" if next_offset is None else f' IndexedPagingOffset="{next_offset}"'
    items = "".join(render_item(native, shown) for native in chosen)
    return (
        f'<m:RootFolder{offset} TotalItemsInView="{total}"'
        f' IncludesLastItemInRange="{"true" if last else "false"}"><t:Items>{items}</t:Items></m:RootFolder>'
    )
