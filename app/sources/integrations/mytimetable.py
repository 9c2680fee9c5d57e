"""MyTimetable: its timetable API, ``GET {base}/api/v0.5/timetable``, on behalf of each person.

What becomes what: ``id`` is the uid, ``activityDescription`` the title, the names of ``locations`` the
location, ``activityTypeName`` the category, and module, type, staff, groups and notes the description.
Elements that the person has ``filtered`` out are left out. Fields may be added at any time, and most may be
null; only the id, the two moments and something to call it by are needed.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from app.errors import Problem
from app.sources.client import Client, decode_json
from app.sources.contract import (
    Account,
    Context,
    Integration,
    Json,
    Page,
    ReadFailed,
    Record,
    RecordError,
    ResourceRequest,
)
from app.sources.fetch import Request
from app.sources.integrations.checks import (
    ZoneSettings,
    check_credentials,
    check_query,
    check_settings,
    check_username,
    settings_of,
    username_of,
    username_only,
)
from app.sources.integrations.mapping import (
    Unmappable,
    all_day,
    from_epoch,
    line,
    names,
    paragraphs,
    reader,
    text,
    to_event,
)
from app.sources.integrations.paging import Pages, with_query
from app.sources.slices import unhurried
from app.timetables.document import Reader

__all__ = ["MyTimetable"]

PATH = "/api/v0.5/timetable"


class MyTimetable(Integration):
    """The resource ``timetable``, method ``list``: ``id`` is the username, ``query`` goes along as it is.

    Without ``startDate`` and ``endDate``, the push window is asked for. The credential is ``api_token``, an
    elevated one that may act for others (``requestedAuth``). All-day events begin at the midnights of the
    settings' ``zone``.
    """

    name = "mytimetable"

    def __init__(self, client: Client, max_pages: int, max_records: int) -> None:
        self._client = client
        self._max_pages = max_pages
        self._max_records = max_records

    def check_account(self, account: Account) -> Sequence[Problem]:
        return [*check_settings(account, ZoneSettings), *check_credentials(account, required=["api_token"])]

    def check_resource(
        self, request: ResourceRequest, settings: Mapping[str, Json] | None
    ) -> Sequence[Problem]:
        problems = [*check_username(request), *check_query(request)]
        if request.resource != "timetable":
            problems.append(Problem(field="resource", detail="mytimetable has one resource: timetable."))
        if request.method != "list":
            problems.append(Problem(field="method", detail="The method of a timetable is list."))
        return problems

    def users(self, request: ResourceRequest, account: Account) -> Sequence[str] | None:
        return username_only(request)

    async def records(
        self, request: ResourceRequest, account: Account, context: Context
    ) -> AsyncIterator[Page]:
        username = username_of(request)
        events = reader(context, settings_of(account, ZoneSettings).zone)
        headers = {"apiToken": account.credentials["api_token"], "requestedAuth": username}
        first = with_query(account.base_url.rstrip("/") + PATH, _window(context) | dict(request.query))
        pages = Pages(first, self._max_pages, self._max_records)
        url: str | None = first
        while url is not None:
            pages.ask(url)
            answer = await self._client.get(
                Request(url=url, headers={"Accept": "application/json"}, credentials=headers), context
            )
            elements = decode_json(answer)
            if not isinstance(elements, list):
                raise ReadFailed("The source's answer is no list of timetable elements.")
            pages.got(elements)
            yield await _page(elements, pages.number, username, events)
            url = pages.link(answer)


def _window(context: Context) -> dict[str, Json]:
    """The push window, in milliseconds after 1970."""
    limits = context.timetables
    start = context.now - timedelta(days=limits.window_days_back)
    end = context.now + timedelta(days=limits.window_days_ahead)
    return {"startDate": int(start.timestamp() * 1000), "endDate": int(end.timestamp() * 1000)}


async def _page(elements: Sequence[Json], number: int, username: str, events: Reader) -> Page:
    records, errors = [], []
    async for position, element in unhurried(enumerate(elements, 1)):
        place = f"page {number}, record {position}"
        try:
            if not isinstance(element, dict):
                raise Unmappable("Not an object.")
            if element.get("filtered") is True:
                continue
            event = to_event(_document(element, events.zone), events)
        except Unmappable as error:
            errors.append(RecordError(place=place, detail=str(error), username=username))
        else:
            records.append(Record(id=event.uid, place=place, data=element, username=username, event=event))
    return Page(records=records, errors=errors)


def _document(element: Mapping[str, Any], zone: str) -> dict[str, Any]:
    start, end = (
        from_epoch(element.get("startDate"), "startDate"),
        from_epoch(element.get("endDate"), "endDate"),
    )
    whole_days = element.get("allDay") is True
    first, last = all_day(start, end, zone) if whole_days else (start.isoformat(), end.isoformat())
    module, kind = line(element.get("moduleCode")), line(element.get("activityTypeDescription"))
    title = line(element.get("activityDescription")) or module or kind
    if not title:
        raise Unmappable("activityDescription: Missing, and there is no moduleCode to call it by.")
    about = [" · ".join(part for part in (module, kind) if part and part != title)]
    about += [", ".join(names(element.get(field))) for field in ("staffMembers", "studentSets")]
    notes = [note for field in ("notes", "notes2", "notes3") if (note := text(element.get(field)))]
    conference = line(element.get("conferenceUrl"))
    if not re.fullmatch(r"https?://\S+", conference):  # a number to dial, say
        notes, conference = [*notes, conference], ""
    category = line(element.get("activityTypeName")) or kind
    return {
        "uid": str(id) if isinstance(id := element.get("id"), int) else id,
        "title": title,
        "start": first,
        "end": last,
        "timeZone": zone,
        "allDay": whole_days,
        "location": ", ".join(names(element.get("locations"))),
        "description": paragraphs(["\n".join(part for part in about if part), *notes]),
        "categories": [category] if category else None,
        "url": conference or None,
    }
