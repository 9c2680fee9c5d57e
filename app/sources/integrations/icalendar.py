"""iCalendar feeds (RFC 5545), one for each person: read again only when the server says that they changed."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec
from yarl import URL

from app.errors import Invalid, Problem
from app.sources.client import Client
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
from app.sources.fetch import Answer, FetchFailed, Request, check_url, same_origin
from app.sources.integrations.checks import (
    MAX_PLACE,
    ZoneSettings,
    authorization,
    check_credentials,
    check_settings,
    check_username,
    in_path,
    settings_of,
    username_of,
    username_only,
)
from app.sources.placeholders import has_placeholder
from app.timetables.document import to_document
from app.timetables.icalendar import CalendarReader
from app.timetables.publish import describe, tell
from providers.contract import Event

__all__ = ["ICalendar"]

USERNAME = "{username}"
FEED = "feed:"
"""Before a username, the name of the credential that is the URL of that user's feed."""
READ_AGAIN = timedelta(days=1)
"""A feed is read as a whole at least this often: its recurrences go on while it does not change."""


class ICalendarSettings(ZoneSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account's ``settings``."""

    path: str | None = None
    """After the base URL, with ``{username}`` in it: ``/feeds/{username}.ics?days=400``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.path is None:
            return
        if not self.path.startswith("/"):
            raise ValueError("path: has to begin with a slash; the base URL is before it")
        if USERNAME not in self.path:
            raise ValueError(f"path: does not hold {USERNAME}, so that all people would have the same feed")


class ICalendar(Integration):
    """The resource ``timetable``, method ``get``: ``id`` is the username.

    Its feed is ``query.url`` where there is one (a feed URL for each user), else the credential
    ``feed:USERNAME`` (one that is a secret), else the base URL with the settings' ``path``. Other credentials
    go to the base URL's own server only: ``user`` and ``password``, or a ``token`` (bearer).
    """

    name = "icalendar"

    def __init__(self, client: Client) -> None:
        self._client = client

    def check_account(self, account: Account) -> Sequence[Problem]:
        known = check_credentials(account, optional=["user", "password", "token"], each=FEED)
        return [*check_settings(account, ICalendarSettings), *known, *_check_feeds(account)]

    def check_resource(
        self, request: ResourceRequest, settings: Mapping[str, Json] | None
    ) -> Sequence[Problem]:
        problems = [*check_username(request), *_check_url(request.query.get("url"))]
        if request.resource != "timetable":
            problems.append(Problem(field="resource", detail="icalendar has one resource: timetable."))
        if request.method != "get":
            problems.append(Problem(field="method", detail="The method of a feed is get."))
        problems += [
            Problem(field=f"query.{name}", detail="Not known here; a feed has a url.")
            for name in request.query
            if name != "url"
        ]
        return problems

    def users(self, request: ResourceRequest, account: Account) -> Sequence[str] | None:
        return username_only(request)

    async def records(
        self, request: ResourceRequest, account: Account, context: Context
    ) -> AsyncIterator[Page]:
        username = username_of(request)
        settings = settings_of(account, ICalendarSettings)
        zone = settings.zone or context.zone
        url, credentials = _feed(request, account, settings, username)
        key = f"feed of {username}"
        known = await context.recall(key) or {}
        source = sha256(f"{zone} {url}".encode()).hexdigest()
        if known.get("source") != source or not _is_fresh(known, context.now):
            known = {}
        headers = {"Accept": "text/calendar"} | _conditions(known)
        answer = await self._client.get(Request(url=url, headers=headers, credentials=credentials), context)
        if answer.status == 304:
            await context.remember(key, known)
            yield Page(unchanged=True)
            return
        if answer.next_url is not None:
            raise ReadFailed("The source has a further page (Link): a feed has to be one calendar.")
        reader = CalendarReader(context.timetables, zone)
        try:
            events, problems = await asyncio.to_thread(reader.readable, answer.body, context.now)
        except Invalid as error:
            raise ReadFailed(describe(error)) from error
        await context.remember(key, _validators(answer, source, context.now))
        yield Page(
            records=[_record(event, username) for event in events],
            errors=[_error(problem, username) for problem in problems],
        )


def _check_url(url: Json) -> Iterator[Problem]:
    """What is wrong with the feed that a job names for a person, placeholders not filled in yet."""
    if url is None:
        return
    if not isinstance(url, str):
        yield Problem(field="query.url", detail="Expected a text.")
    elif not has_placeholder(url):
        try:
            check_url(url)
        except FetchFailed as error:
            yield Problem(field="query.url", detail=error.message)


def _check_feeds(account: Account) -> Iterator[Problem]:
    for name, url in account.credentials.items():
        if name.startswith(FEED):
            try:
                check_url(url)
            except FetchFailed as error:
                yield Problem(field=f"credentials.{name}"[:MAX_PLACE], detail=error.message)


def _feed(
    request: ResourceRequest, account: Account, settings: ICalendarSettings, username: str
) -> tuple[str, dict[str, str]]:
    """The feed's URL, and the headers that our credentials are for it."""
    headers = authorization(account)
    own = request.query.get("url")
    if own is None:
        own = account.credentials.get(FEED + username)
    if own is None:
        if settings.path is None:
            raise ReadFailed(
                "Neither the request names a feed (query.url) nor the account (the credential feed:USERNAME,"
                " or settings.path)."
            )
        path = settings.path.replace(USERNAME, in_path(username))
        return str(URL(account.base_url.rstrip("/") + path, encoded=True)), headers
    if not isinstance(own, str):
        raise ReadFailed("query.url: Not a text.")
    try:
        at_home = same_origin(check_url(own), check_url(account.base_url))
    except FetchFailed as error:
        raise ReadFailed(f"The feed's URL: {error.message}") from error
    return own, headers if at_home else {}


def _is_fresh(known: Mapping[str, str], now: datetime) -> bool:
    return "read_at" in known and now - datetime.fromisoformat(known["read_at"]) < READ_AGAIN


def _conditions(known: Mapping[str, str]) -> dict[str, str]:
    """Headers by which an unchanged feed is not sent again (RFC 9110 section 13.1)."""
    names = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
    return {header: known[name] for name, header in names.items() if name in known}


def _validators(answer: Answer, source: str, now: datetime) -> dict[str, str]:
    """What to remember. ``source`` stands for what was read and how; a feed's URL may hold a secret."""
    kept = {name: answer.headers[name] for name in ("etag", "last-modified") if name in answer.headers}
    return {"source": source, "read_at": now.isoformat(), **kept}


def _record(event: Event, username: str) -> Record:
    data = msgspec.to_builtins(to_document(event))
    return Record(id=event.uid, place=event.uid, data=data, username=username, event=event)


def _error(problem: Problem, username: str) -> RecordError:
    detail = tell(Problem(detail=problem.detail, field=problem.field))
    return RecordError(place=problem.event or "calendar", detail=detail, username=username)
