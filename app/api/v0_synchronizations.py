"""``/api/v0``: the provisioning API's synchronizations (CONTRACT §4)."""

from typing import Annotated, Any, TypeAlias

import msgspec
from litestar import Request, Response, delete, get, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter
from litestar.response import Stream

from app.api.auth import admin_only, own_user, staff_only
from app.api.dependencies import (
    InjectedAdapters,
    InjectedClock,
    InjectedConfig,
    InjectedPool,
    InjectedWatcher,
)
from app.api.forms import Fields, read_fields
from app.api.openapi import UnlinkOperation, form_operation, text, v0_errors
from app.api.streaming import PAGE, stream_list
from app.api.unlinking import UNLINK_HEADERS, Prefer, UnlinkMode, only_parameter, unlinked
from app.api.v0_users import Username
from app.provisioning import synchronizations
from app.provisioning.provision import provision
from app.provisioning.synchronizations import Synchronization
from app.provisioning.unlink import parse_mode, unlink_one, unlink_type, unlink_user

__all__ = ["SynchronizationId", "v0_synchronization_handlers"]

TAGS = ["Synchronizations (v0)"]

SynchronizationId: TypeAlias = Annotated[int, PathParameter(description="As PUT /synchronizations gave it.")]


class Synchronizations(msgspec.Struct, frozen=True):
    """Current synchronizations, by id."""

    synchronizations: list[Synchronization]


class Provisioned(msgspec.Struct, frozen=True):
    """The synchronization that there is now."""

    synchronization: Synchronization


@get(
    "/synchronizations",
    guards=[staff_only],
    tags=TAGS,
    summary="All current synchronizations, by id",
    responses={200: ResponseSpec(Synchronizations, description="All of them.", generate_examples=False)}
    | v0_errors(),
)
async def list_synchronizations(pool: InjectedPool) -> Stream:
    return await stream_list("synchronizations", synchronizations.pages(pool, PAGE))


@get(
    "/users/{username:str}/synchronizations",
    guards=[own_user],
    tags=TAGS,
    summary="A user's current synchronizations",
    responses=v0_errors(404),
)
async def list_user_synchronizations(username: Username, pool: InjectedPool) -> Synchronizations:
    return Synchronizations(await synchronizations.of_user(pool, username))


@put(
    "/synchronizations",
    guards=[admin_only],
    tags=TAGS,
    summary="Give a user a synchronization of a mailbox",
    description="Idempotent: the same user, type and mailbox, by whichever of its addresses, are the same"
    " synchronization. Access to the mailbox is proven first, within a bounded time; while the provider is"
    " down the answer is 200 with the status PENDING, and a worker proves access later.",
    operation_class=form_operation(
        {
            "username": text("An existing user."),
            "type": text("A configured type: ews, o365 or googlecalendar."),
            "provisioning_smtpAddress": text("An address of the mailbox."),
        },
        {"username": "alice", "type": "ews", "provisioning_smtpAddress": "alice@uni.example"},
        required=["username", "type", "provisioning_smtpAddress"],
    ),
    responses=v0_errors(413, 415, 422, 550),
)
async def put_synchronization(
    request: Request[Any, Any, Any],
    pool: InjectedPool,
    adapters: InjectedAdapters,
    config: InjectedConfig,
    clock: InjectedClock,
) -> Provisioned:
    fields = await read_fields(request) or Fields({})
    synchronization = await provision(
        pool,
        adapters,
        clock,
        username=fields.text("username") or "",
        type=fields.text("type") or "",
        address=fields.text("provisioning_smtpAddress") or "",
        probe_seconds=config.sync.probe_timeout_seconds,
    )
    return Provisioned(synchronization)


@delete(
    "/synchronizations/{id:int}",
    guards=[admin_only],
    tags=TAGS,
    summary="End a synchronization",
    description="Answers once that is durable; a worker then takes the events out, as unlinkMode says.",
    operation_class=UnlinkOperation,
    responses=v0_errors(404),
    response_headers=UNLINK_HEADERS,
)
async def delete_synchronization(
    request: Request[Any, Any, Any],
    id: SynchronizationId,
    pool: InjectedPool,
    clock: InjectedClock,
    watcher: InjectedWatcher,
    unlink_mode: UnlinkMode = None,
    prefer: Prefer = None,
) -> Response[None]:
    only_parameter(request, "unlinkMode")
    run = await unlink_one(pool, id, parse_mode(unlink_mode), clock)
    return await unlinked(run, prefer, watcher)


@delete(
    "/users/{username:str}/synchronizations",
    guards=[admin_only],
    tags=TAGS,
    summary="End all synchronizations of a user",
    description="204 also when there is none. A CLEANUP goes to every mailbox in which this user's present"
    " and earlier synchronizations have events.",
    operation_class=UnlinkOperation,
    responses=v0_errors(404),
    response_headers=UNLINK_HEADERS,
)
async def delete_user_synchronizations(
    request: Request[Any, Any, Any],
    username: Username,
    pool: InjectedPool,
    clock: InjectedClock,
    watcher: InjectedWatcher,
    unlink_mode: UnlinkMode = None,
    prefer: Prefer = None,
) -> Response[None]:
    only_parameter(request, "unlinkMode")
    run = await unlink_user(pool, username, parse_mode(unlink_mode), clock)
    return await unlinked(run, prefer, watcher)


@delete(
    "/users/{username:str}/synchronizations/{type:str}",
    guards=[admin_only],
    tags=TAGS,
    summary="End a user's synchronizations of one type",
    description="422 when there is none. For a CLEANUP, mailboxes in which earlier ones left events count.",
    operation_class=UnlinkOperation,
    responses=v0_errors(422),
    response_headers=UNLINK_HEADERS,
)
async def delete_user_synchronizations_of_type(
    request: Request[Any, Any, Any],
    username: Username,
    type: Annotated[str, PathParameter(description="ews, o365 or googlecalendar.", min_length=1)],
    pool: InjectedPool,
    clock: InjectedClock,
    watcher: InjectedWatcher,
    unlink_mode: UnlinkMode = None,
    prefer: Prefer = None,
) -> Response[None]:
    only_parameter(request, "unlinkMode")
    run = await unlink_type(pool, username, type, parse_mode(unlink_mode), clock)
    return await unlinked(run, prefer, watcher)


v0_synchronization_handlers = [
    list_synchronizations,
    list_user_synchronizations,
    put_synchronization,
    delete_synchronization,
    delete_user_synchronizations,
    delete_user_synchronizations_of_type,
]
