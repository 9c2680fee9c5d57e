"""``/api/v1/synchronizations``: how far they have got, and what can be done about them (CONTRACT §6)."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch, post
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import JSONBody, PathParameter, QueryParameter

from app.api.auth import admin_only, staff_only
from app.api.dependencies import (
    InjectedAdapters,
    InjectedCaller,
    InjectedClock,
    InjectedConfig,
    InjectedPool,
)
from app.api.openapi import UnlinkOperation, array, problems, text
from app.api.paging import Cursor, Limit
from app.api.select import Select, Selection
from app.api.unlinking import UnlinkMode, only_parameter
from app.api.v0_synchronizations import SynchronizationId
from app.errors import BadRequest, Forbidden
from app.provisioning import due, explain, runs, synchronizations
from app.provisioning.due import DuePage
from app.provisioning.event_history import EventHistory
from app.provisioning.synchronizations import Details, LedgerPage
from app.provisioning.unlink import Preview, parse_mode, preview

__all__ = ["synchronization_handlers"]

TAGS = ["Synchronizations"]
MAX_CHOSEN = 100_000


class Switch(msgspec.Struct, frozen=True):
    """Whether a synchronization is to be carried out."""

    enabled: bool


class Choice(msgspec.Struct, frozen=True, rename="camel"):
    """Which synchronizations to sync: exactly one of these. Disabled ones are left out."""

    synchronizations: Annotated[list[int], msgspec.Meta(max_length=MAX_CHOSEN)] | None = None
    """By their ids."""
    users: Annotated[list[str], msgspec.Meta(max_length=MAX_CHOSEN)] | None = None
    """All of these users."""
    types: Annotated[list[str], msgspec.Meta(max_length=100)] | None = None
    """All of these types."""
    all: bool = False
    """Everything."""


class Started(msgspec.Struct, frozen=True):
    """The id of the run that has begun."""

    run: int


@get(
    "/synchronizations",
    guards=[staff_only],
    tags=TAGS,
    summary="All synchronizations, and which of them are due now and why",
    description="With `ready=true`, those alone that are due and wait for a worker.",
    responses=problems(),
)
async def list_synchronizations(
    pool: InjectedPool,
    clock: InjectedClock,
    ready: Annotated[bool, QueryParameter(description="Only those that are due now.")] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
    select: Select = None,
) -> Response[DuePage]:
    selection = Selection(DuePage, select, "synchronizations")
    return selection.of(await due.page(pool, clock(), limit, cursor, ready=ready))


@get(
    "/synchronizations/{id:int}",
    tags=TAGS,
    summary="A synchronization, and how far it has got",
    responses=problems(404),
)
async def get_synchronization(
    id: SynchronizationId,
    pool: InjectedPool,
    clock: InjectedClock,
    caller: InjectedCaller,
    select: Select = None,
) -> Response[Details]:
    selection = Selection(Details, select)
    caller.may_act_for(await synchronizations.owner(pool, id))
    return selection.of(await synchronizations.details(pool, id, clock()))


@patch(
    "/synchronizations/{id:int}",
    guards=[admin_only],
    tags=TAGS,
    summary="Switch a synchronization on or off",
    description="While it is off, nothing is written to the mailbox, unlinking aside.",
    responses=problems(404, 413),
)
async def patch_synchronization(
    id: SynchronizationId, data: JSONBody[Switch], pool: InjectedPool, clock: InjectedClock
) -> Details:
    await synchronizations.enable(pool, id, data.enabled, clock())
    return await synchronizations.details(pool, id, clock())


@get(
    "/synchronizations/{id:int}/events",
    tags=TAGS,
    summary="What was put into the mailbox, by the ledger",
    responses=problems(404),
)
async def list_events(
    id: SynchronizationId,
    pool: InjectedPool,
    caller: InjectedCaller,
    limit: Limit = 100,
    cursor: Cursor = None,
    select: Select = None,
) -> Response[LedgerPage]:
    selection = Selection(LedgerPage, select, "events")
    caller.may_act_for(await synchronizations.owner(pool, id))
    return selection.of(await synchronizations.events(pool, id, limit, cursor))


@get(
    "/synchronizations/{id:int}/events/{uid:str}",
    tags=TAGS,
    summary="Why an event is in the mailbox, or is not",
    description="In plain sentences, and in data: since when it is wanted, what was tried and answered, under"
    " which id it is there, what it waits for. Also of events that nobody ever published, and for"
    " synchronizations that were unlinked; 404 is for unknown synchronizations alone.",
    responses=problems(404),
)
async def get_event(
    id: SynchronizationId,
    uid: Annotated[str, PathParameter(description="Percent-encoded; it may hold any character.")],
    pool: InjectedPool,
    config: InjectedConfig,
    clock: InjectedClock,
    caller: InjectedCaller,
    select: Select = None,
) -> Response[EventHistory]:
    selection = Selection(EventHistory, select)
    caller.may_act_for(await explain.owner(pool, id))
    return selection.of(await explain.explain(pool, id, uid, config.timetables, clock))


@get(
    "/synchronizations/unlink-preview",
    guards=[staff_only],
    tags=TAGS,
    summary="What an unlinking would remove, and what it would leave",
    description="Exactly the events that the DELETE would remove now, and the other ones of ours in the"
    " mailboxes concerned. Give either id, or username with or without type.",
    operation_class=UnlinkOperation,
    responses=problems(404),
)
async def unlink_preview(
    request: Request[Any, Any, Any],
    pool: InjectedPool,
    clock: InjectedClock,
    unlink_mode: UnlinkMode = None,
    id: Annotated[int | None, QueryParameter(description="One synchronization.")] = None,
    username: Annotated[str | None, QueryParameter(description="All of a user's synchronizations …")] = None,
    type: Annotated[str | None, QueryParameter(description="… of one type.")] = None,
    select: Select = None,
) -> Response[Preview]:
    selection = Selection(Preview, select)
    for name in ("unlinkMode", "id", "username", "type"):
        only_parameter(request, name)
    mode = parse_mode(unlink_mode)
    return selection.of(await preview(pool, mode, clock, id=id, username=username, type=type))


def _choice(field: str, schema: Schema) -> Schema:
    return Schema(type=OpenAPIType.OBJECT, properties={field: schema}, required=[field])


@dataclass
class SyncOperation(Operation):
    """An operation whose body is one of several choices."""

    def __post_init__(self) -> None:
        """Say which."""
        ids = array(Schema(type=OpenAPIType.INTEGER, minimum=1), "Ids of synchronizations.")
        names = text("A username or type.", min_length=1)
        choices = [
            _choice("synchronizations", ids),
            _choice("users", array(names, "All synchronizations of these users.")),
            _choice("types", array(names, "All synchronizations of these types.")),
            _choice("all", Schema(const=True, description="Everything.")),
        ]
        self.request_body = RequestBody(
            content={"application/json": OpenAPIMediaType(schema=Schema(any_of=choices))}, required=True
        )


@post(
    "/synchronizations/sync",
    operation_class=SyncOperation,
    tags=TAGS,
    summary="Bring synchronizations up to date now",
    description="At most one such run is active at a time. A token with the role frontend names the ids of"
    " synchronizations of its user, or that user.",
    status_code=202,
    responses=problems(409, 413, 422),
)
async def sync(
    data: JSONBody[Choice],
    pool: InjectedPool,
    adapters: InjectedAdapters,
    config: InjectedConfig,
    caller: InjectedCaller,
    clock: InjectedClock,
) -> Started:
    chosen = (data.synchronizations, data.users, data.types, data.all or None)
    if sum(choice is not None for choice in chosen) != 1:
        raise BadRequest(
            "invalid_selection", 'Give one of "synchronizations", "users", "types", or "all": true.'
        )
    if caller.role == "frontend":
        await _require_own(data, pool, caller)
    run = await runs.start_sync(
        pool,
        clock,
        ids=data.synchronizations,
        usernames=data.users,
        types=data.types,
        known_types=adapters,
        at_once=config.sync.bulk_concurrency,
    )
    return Started(run)


async def _require_own(data: Choice, pool: InjectedPool, caller: InjectedCaller) -> None:
    """Raises Forbidden if the choice reaches beyond the user whom the frontend acts for."""
    if data.synchronizations is not None:
        owners = await synchronizations.owners(pool, data.synchronizations)
        for username in owners:
            caller.may_act_for(username)
        if owners:
            return
    for username in data.users or ():
        caller.may_act_for(username)
    if not data.users:
        raise Forbidden("forbidden", "A token with the role frontend syncs the synchronizations of its user.")


synchronization_handlers = [
    list_synchronizations,
    get_synchronization,
    patch_synchronization,
    list_events,
    get_event,
    unlink_preview,
    sync,
]
