"""``/api/v0/users``: the provisioning API's users (CONTRACT §4)."""

from typing import Annotated, Any, TypeAlias
from urllib.parse import quote

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter
from litestar.response import Stream

from app.api.auth import admin_only, own_user, staff_only
from app.api.dependencies import InjectedClock, InjectedPool, InjectedWatcher
from app.api.forms import read_fields, read_user
from app.api.openapi import PRINTABLE, OptionalUnlinkOperation, array, form_operation, text, v0_errors
from app.api.streaming import PAGE, stream_list
from app.api.unlinking import UNLINK_HEADERS, Prefer, UnlinkMode, only_parameter, unlinked
from app.errors import BadRequest
from app.provisioning import users
from app.provisioning.text import MAX_TEXT_LENGTH, MAX_USERNAME_LENGTH
from app.provisioning.unlink import delete_user, parse_mode
from app.provisioning.users import User

__all__ = ["Username", "user_handlers"]

TAGS = ["Users (v0)"]

Username: TypeAlias = Annotated[
    str,
    PathParameter(
        description="Percent-encoded; compared exactly.",
        # Said and not checked here: what nobody can be named is not found, or cannot be created.
        schema_extra={"min_length": 1, "max_length": MAX_USERNAME_LENGTH, "pattern": PRINTABLE},
    ),
]

FIELDS = {
    "displayName": text("For people.", max_length=MAX_TEXT_LENGTH),
    "locale": text("A language tag such as nl-NL.", max_length=MAX_TEXT_LENGTH),
    "attributes": array(text("name=value", max_length=MAX_TEXT_LENGTH), "Repeatable, also one name."),
    "roles": array(text("A role of the frontend.", max_length=MAX_TEXT_LENGTH), "Repeatable."),
}
EXAMPLE = {
    "displayName": "Alice",
    "locale": "nl-NL",
    "attributes": ["studentNumber=1234567"],
    "roles": ["student"],
}


class Usernames(msgspec.Struct, frozen=True):
    """All usernames, sorted."""

    users: list[str]


@get(
    "/users",
    guards=[staff_only],
    tags=TAGS,
    summary="All usernames, sorted",
    responses={200: ResponseSpec(Usernames, description="All usernames.", generate_examples=False)}
    | v0_errors(),
)
async def list_users(pool: InjectedPool) -> Stream:
    return await stream_list("users", users.pages(pool, PAGE))


@get("/users/{username:str}", guards=[own_user], tags=TAGS, summary="One user", responses=v0_errors(404))
async def get_user(username: Username, pool: InjectedPool) -> User:
    return await users.find(pool, username)


@post(
    "/users",
    guards=[admin_only],
    tags=TAGS,
    summary="Create a user",
    operation_class=form_operation(
        {
            "username": text("Opaque, compared exactly.", min_length=1, max_length=MAX_USERNAME_LENGTH),
            **FIELDS,
        },
        {"username": "alice", **EXAMPLE},
        required=["username"],
    ),
    responses=v0_errors(409, 413, 415),
    response_headers=[
        ResponseHeader(
            name="Location", description="The user.", value="/api/v0/users/alice", documentation_only=True
        )
    ],
)
async def create_user(
    request: Request[Any, Any, Any], pool: InjectedPool, clock: InjectedClock
) -> Response[User]:
    fields = await read_fields(request)
    username = fields.text("username") if fields else None
    if fields is None or username is None:
        raise BadRequest("invalid_username", "username: missing.")
    user = read_user(fields, username)
    await users.create(pool, user, clock)
    location = f"/api/v0/users/{quote(username, safe='')}"
    return Response(user, status_code=201, headers={"Location": location})


@put(
    "/users/{username:str}",
    guards=[admin_only],
    tags=TAGS,
    summary="Make sure that a user exists, or replace them",
    description="Without a body: creates the user if missing, and changes nothing otherwise. With a body:"
    " creates or replaces the user; what is not given is nothing afterwards.",
    operation_class=form_operation(FIELDS, EXAMPLE, body_required=False),
    responses={
        201: ResponseSpec(User, description="Created, by a request with a body.", generate_examples=False),
        204: ResponseSpec(None, description="The user exists, by a request without a body."),
    }
    | v0_errors(413, 415),
)
async def put_user(
    request: Request[Any, Any, Any], username: Username, pool: InjectedPool, clock: InjectedClock
) -> Response[User] | Response[None]:
    fields = await read_fields(request)
    if fields is None:
        await users.ensure(pool, username, clock)
        return Response(None, status_code=204)
    if fields.text("username") not in (None, username):
        raise BadRequest("invalid_username", "username: the body names another one than the path.")
    user = read_user(fields, username)
    created = await users.replace(pool, user, clock)
    return Response(user, status_code=201 if created else 200)


@delete(
    "/users/{username:str}",
    guards=[admin_only],
    tags=TAGS,
    summary="Delete a user, with timetable and synchronizations",
    operation_class=OptionalUnlinkOperation,
    responses=v0_errors(404),
    response_headers=UNLINK_HEADERS,
)
async def remove_user(
    request: Request[Any, Any, Any],
    username: Username,
    pool: InjectedPool,
    clock: InjectedClock,
    watcher: InjectedWatcher,
    unlink_mode: UnlinkMode = None,
    prefer: Prefer = None,
) -> Response[None]:
    only_parameter(request, "unlinkMode")
    mode = parse_mode(unlink_mode, default="UNLINK_ONLY")
    run = await delete_user(pool, username, mode, clock)
    return await unlinked(run, prefer, watcher)


user_handlers = [list_users, get_user, create_user, put_user, remove_user]
