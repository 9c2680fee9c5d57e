"""What has changed in a calendar, by Google's synchronization tokens.

https://developers.google.com/workspace/calendar/api/guides/sync. A token cannot be combined with a search
for our events, so whole calendars are read; what is not ours is passed over at once and kept nowhere.
"""

from collections.abc import AsyncIterator

import msgspec

from providers.contract import Changes, Clock, Mailbox, ProviderError, RemoteEvent, StartOver, Unknown
from providers.googlecalendar import outcomes
from providers.googlecalendar.client import CALENDAR, Client
from providers.googlecalendar.replies import Answer
from providers.googlecalendar.resources import FIELDS, LARGEST_PAGE, EventResource, Page, read

__all__ = ["changes"]

VERSION = 1


class _State(msgspec.Struct, frozen=True, array_like=True):
    """What ``changes`` gives to go on from. A token is good for its own calendar alone."""

    version: int
    calendar: str
    token: str


async def changes(
    client: Client, clock: Clock, mailbox: Mailbox, instance: str, since: str | None
) -> AsyncIterator[Changes]:
    """See ``Adapter.changes``. Raises ``StartOver`` and ``ProviderError``."""
    calendar = mailbox.calendar or CALENDAR
    sync_token = None if since is None else _token(since, calendar)
    copies: dict[str, RemoteEvent] = {}
    page_token: str | None = None
    while True:
        # The same parameters with a token as without: of another query Google does not say what it means.
        request = client.events.list(
            calendarId=calendar,
            maxResults=LARGEST_PAGE,
            syncToken=sync_token,
            pageToken=page_token,
            fields=f"nextPageToken,nextSyncToken,items({FIELDS})",
        )
        (reply,) = await client.send(mailbox.address, [request])
        if sync_token is not None and outcomes.refuses_state(reply):
            raise StartOver
        if not isinstance(reply, Answer) or not reply.ok:
            raise ProviderError(outcomes.failure(reply, "calendar", clock()))
        page = read(reply, Page)
        found = {item.id: _ours(item, instance) for item in page.items}
        originals = []
        for id, event in found.items():
            # The order of events is undocumented: a copy may come pages before its original, so it waits.
            copies.pop(id, None)
            if event is not None and id == event.marker.attempt.hex:
                originals.append(event)
            elif event is not None:
                copies[id] = event
        # A first read has nothing to take back. Later, any event may have been ours and have lost its marker.
        removed = () if since is None else tuple(id for id, event in found.items() if event is None)
        page_token = page.next_page_token
        if page_token is None:
            break
        yield Changes(events=tuple(originals), removed=removed)
    if page.next_sync_token is None:
        reason = "Google's answer: a last page without a nextSyncToken."
        raise ProviderError(Unknown(code="unreadable", reason=reason))
    state = _State(version=VERSION, calendar=calendar, token=page.next_sync_token)
    yield Changes(
        events=(*originals, *copies.values()), removed=removed, state=msgspec.json.encode(state).decode()
    )


def _ours(item: EventResource, instance: str) -> RemoteEvent | None:
    """The event, if it is there and one of this instance's."""
    event = item.remote
    return event if event is not None and event.marker.instance == instance else None


def _token(state: str, calendar: str) -> str:
    """The token in what an earlier read has left. Raises ``StartOver`` if it is not for this calendar."""
    try:
        found = msgspec.json.decode(state, type=_State)
    except msgspec.DecodeError:
        raise StartOver from None
    if (found.version, found.calendar) != (VERSION, calendar):
        raise StartOver
    return found.token
