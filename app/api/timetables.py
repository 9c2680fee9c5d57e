"""``/api/v1``: timetables (CONTRACT §5)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeAlias

from litestar import Request, Response, Router, get, patch, post, put
from litestar.datastructures import ResponseHeader
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter

from app.api.auth import own_user
from app.api.dependencies import InjectedCaller, InjectedClock, InjectedConfig, InjectedPool
from app.api.media_types import media_type
from app.api.openapi import problems
from app.api.select import Select, Selection
from app.api.timetable_schemas import LinesOperation, PatchOperation, TimetableOperation, calendar_response
from app.api.v0_users import Username
from app.errors import TooLarge
from app.timetables import store
from app.timetables.document import Reader, StoredDocument, to_document
from app.timetables.etag import ICALENDAR, etag, expected_revisions, matches
from app.timetables.icalendar import CalendarReader
from app.timetables.lines import gunzip, split_lines
from app.timetables.output import to_icalendar
from app.timetables.publish import Publisher, Summary, publish_lines
from app.timetables.store import Counts
from providers.contract import Event

__all__ = ["router"]

TAGS = ["Timetables"]
JSON = "application/json"
CALENDAR = "text/calendar"
LINES = "application/x-ndjson"

Confirm: TypeAlias = Annotated[
    bool,
    QueryParameter(description="Yes, remove a large part of the future events."),
]
CreateUsers: TypeAlias = Annotated[
    bool,
    QueryParameter(name="createUsers", description="Create the users that are not known yet."),
]
IfMatch: TypeAlias = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match",
        description="Change the timetable only if this ETag is still its own; otherwise 412.",
    ),
]
IfNoneMatch: TypeAlias = Annotated[
    str | None,
    HeaderParameter(name="If-None-Match", description="Answer 304 if the timetable still has this ETag."),
]
ETAG = ResponseHeader(
    name="ETag",
    description="The timetable's revision, for If-Match.",
    value='"7"',
    documentation_only=True,
)
NOT_MODIFIED = ResponseSpec(None, description="It still has the ETag in If-None-Match.")


@put(
    "/users/{username:str}/timetable",
    guards=[own_user],
    tags=TAGS,
    summary="Publish a whole timetable",
    description="What is not in it is removed. Refused as a whole, with every problem listed, if anything is"
    " wrong with it. Removing more than half and more than 20 of the future events (both configurable) needs"
    " `confirm=true`. `Content-Encoding: gzip` is understood.",
    operation_class=TimetableOperation,
    request_max_body_size=None,  # we count ourselves, by the configured limit
    responses=problems(404, 409, 412, 413, 415, 422),
    response_headers=[ETAG],
)
async def put_timetable(
    request: Request[Any, Any, Any],
    username: Username,
    pool: InjectedPool,
    config: InjectedConfig,
    clock: InjectedClock,
    confirm: Confirm = False,
    if_match: IfMatch = None,
) -> Response[Counts]:
    body_type = media_type(request, JSON, CALENDAR)
    body = await _body(request, config.timetables.max_body_bytes)
    now = clock()
    # In a thread: a large timetable takes a while, in which others are served.
    if body_type == CALENDAR:
        calendar_reader = CalendarReader(config.timetables, config.timezone)
        events: list[Event] = await asyncio.to_thread(calendar_reader.timetable, body, now)
    else:
        events = await asyncio.to_thread(Reader(config.timetables, config.timezone).timetable, body)
    counts = await store.replace(
        pool,
        username,
        events,
        config.timetables,
        now,
        confirm=confirm,
        expected=expected_revisions(if_match),
    )
    return Response(counts, headers={"ETag": etag(counts.revision)})


@patch(
    "/users/{username:str}/timetable",
    guards=[own_user],
    tags=TAGS,
    summary="Change some events of a timetable",
    description="Puts events in, in place of those with the same uid, and takes others out. A uid to delete"
    " that is not there is no error. All or nothing, as for a whole timetable.",
    operation_class=PatchOperation,
    request_max_body_size=None,
    responses=problems(404, 409, 412, 413, 415, 422),
    response_headers=[ETAG],
)
async def patch_timetable(
    request: Request[Any, Any, Any],
    username: Username,
    pool: InjectedPool,
    config: InjectedConfig,
    clock: InjectedClock,
    confirm: Confirm = False,
    if_match: IfMatch = None,
) -> Response[Counts]:
    media_type(request, JSON)
    body = await _body(request, config.timetables.max_body_bytes)
    reader = Reader(config.timetables, config.timezone)
    upsert, delete = await asyncio.to_thread(reader.patch, body)
    counts = await store.patch(
        pool,
        username,
        upsert,
        delete,
        config.timetables,
        clock(),
        confirm=confirm,
        expected=expected_revisions(if_match),
    )
    return Response(counts, headers={"ETag": etag(counts.revision)})


@get(
    "/users/{username:str}/timetable",
    guards=[own_user],
    tags=TAGS,
    summary="A timetable as last published",
    description="Cancelled events included. Revision 0 and no events where none was published yet.",
    responses={200: calendar_response(), 304: NOT_MODIFIED} | problems(404),
    response_headers=[ETAG],
)
async def get_timetable(
    request: Request[Any, Any, Any],
    username: Username,
    pool: InjectedPool,
    config: InjectedConfig,
    if_none_match: IfNoneMatch = None,
    select: Select = None,
) -> Response[StoredDocument] | Response[bytes] | Response[None]:
    selection = Selection(StoredDocument, select)
    as_calendar = request.accept.best_match([JSON, CALENDAR], default=JSON) == CALENDAR
    representation = ICALENDAR if as_calendar else ""
    if if_none_match is not None:
        tag = etag(await store.fetch_revision(pool, username), representation)
        if matches(if_none_match, tag):
            return Response(None, status_code=304, headers={"ETag": tag, "Vary": "Accept"})
    stored = await store.fetch(pool, username)
    headers = {"ETag": etag(stored.revision, representation), "Vary": "Accept"}
    if as_calendar:
        calendar = await asyncio.to_thread(to_icalendar, stored.events, config.timezone)
        return Response(calendar, media_type=CALENDAR, headers=headers)
    document = StoredDocument(
        revision=stored.revision, events=[to_document(event) for event in stored.events]
    )
    return selection.of(document, headers)


@post(
    "/timetables",
    status_code=200,
    tags=TAGS,
    summary="Publish many people's whole timetables, a line each",
    description="Newline-delimited JSON, read as it comes, of any length. A bad line is an error in the"
    " answer and does not stop the others; each line is stored as a whole or not at all. Lines that were"
    " stored stay so if the request breaks off. `Content-Encoding: gzip` is understood.",
    operation_class=LinesOperation,
    request_max_body_size=None,  # a line has a limit, the stream has none
    responses=problems(415, 422),
)
async def post_timetables(
    request: Request[Any, Any, Any],
    pool: InjectedPool,
    config: InjectedConfig,
    clock: InjectedClock,
    caller: InjectedCaller,
    create_users: CreateUsers = False,
    confirm: Confirm = False,
) -> Summary:
    media_type(request, LINES)
    lines = split_lines(_content(request), config.timetables.max_body_bytes)
    publisher = Publisher(pool, config.timetables, clock, create_users=create_users, confirm=confirm)
    return await publish_lines(
        lines, publisher, Reader(config.timetables, config.timezone), caller.may_act_for
    )


def _content(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    """The body as it comes, decompressed."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "gzip":
        return gunzip(request.stream())
    if encoding != "identity":
        raise HTTPException(status_code=415, detail="Content-Encoding: expected gzip, or none.")
    return request.stream()


async def _body(request: Request[Any, Any, Any], limit: int) -> bytes:
    """The whole body. Raises TooLarge as soon as it is longer than ``limit`` bytes, declared or not."""
    body = bytearray()
    async for chunk in _content(request):
        body += chunk
        if len(body) > limit:
            raise TooLarge(
                "too_large", f"A timetable's body may have {limit} bytes (timetables.max_body_bytes)."
            )
    return bytes(body)


router = Router("/", route_handlers=[put_timetable, patch_timetable, get_timetable, post_timetables])
"""To be mounted at ``/api/v1``."""
