"""``/api/v1/preferences``: what is set where; and what of that is in effect for a user."""

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, cast

import msgspec
from litestar import Response, delete, get, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import JSONBody, PathParameter

from app.api.auth import Caller, own_user
from app.api.dependencies import InjectedCaller, InjectedClock, InjectedPool
from app.api.openapi import PRINTABLE, problems
from app.api.select import Select, Selection
from app.api.v0_users import Username
from app.database.types import Pool
from app.errors import Forbidden
from app.preferences import values
from app.preferences.document import LEVELS, Level
from app.preferences.values import Effective, Owner, Value
from app.provisioning import synchronizations

__all__ = ["preference_handlers"]

TAGS = ["Preferences"]

LevelName: TypeAlias = Annotated[
    str,
    PathParameter(
        description="From the farthest from the person to the closest. The closest one that is set counts,"
        " and of a user's roles the first one, in the user's order, for which there is a value.",
        # Said and not checked here: at no other level is there anything.
        schema_extra={"enum": list(LEVELS)},
    ),
]
OwnerName: TypeAlias = Annotated[
    str,
    PathParameter(
        description="Percent-encoded. Of the installation: `default`; or the type of synchronization (`ews`,"
        " `o365`, `googlecalendar`), the role, the username, the synchronization's id.",
        schema_extra={"min_length": 1, "max_length": 1000, "pattern": PRINTABLE},
    ),
]
Section: TypeAlias = Annotated[str, PathParameter(description="Upper and lower case are the same.")]
Key: TypeAlias = Annotated[str, PathParameter(description="Upper and lower case are the same.")]

PATH = "/preferences/{level:str}/{owner:str}/{section:str}/{key:str}"


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to set."""

    value: Any


class Values(msgspec.Struct, frozen=True):
    """What is set for an owner."""

    preferences: list[Value]


class EffectiveValues(msgspec.Struct, frozen=True):
    """What is in effect for a user."""

    preferences: list[Effective]


@dataclass
class SettingOperation(Operation):
    """An operation whose body holds a value."""

    def __post_init__(self) -> None:
        """Say which values there are."""
        value = Schema(
            description="As the preference's description says: a number, a text, true or false, or a list of"
            " texts. null: as if nothing were set at the levels farther from the person.",
            one_of=[
                Schema(type=OpenAPIType.NUMBER),
                Schema(type=OpenAPIType.STRING),
                Schema(type=OpenAPIType.BOOLEAN),
                Schema(type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.STRING)),
                Schema(type=OpenAPIType.NULL),
            ],
        )
        body = Schema(type=OpenAPIType.OBJECT, properties={"value": value}, required=["value"])
        self.request_body = RequestBody(
            content={"application/json": OpenAPIMediaType(schema=body)}, required=True
        )


async def _owner(caller: Caller, pool: Pool, level: str, name: str) -> Owner:
    """Whose preferences are meant. Raises Forbidden, and NotFound.

    A frontend has to do with those of its user, and of the user's synchronizations.
    """
    owner = Owner(cast(Level, level), name)
    if caller.role == "frontend":
        if level == "user":
            caller.may_act_for(name)
        elif level == "synchronization":
            caller.may_act_for(await synchronizations.owner(pool, values.synchronization_id(name)))
        else:
            raise Forbidden(
                "forbidden",
                "A token with the role frontend is for preferences of its user and their synchronizations.",
            )
    return owner


@get(
    PATH,
    tags=TAGS,
    summary="What is set of a preference, for one owner",
    description="404 also where nothing is set: what is in effect for somebody is told by"
    " `/users/{username}/preferences`.",
    responses=problems(404),
)
async def get_preference(
    level: LevelName,
    owner: OwnerName,
    section: Section,
    key: Key,
    pool: InjectedPool,
    caller: InjectedCaller,
    select: Select = None,
) -> Response[Value]:
    selection = Selection(Value, select)
    whose = await _owner(caller, pool, level, owner)
    return selection.of(await values.find(pool, caller.role, whose, section, key))


@put(
    PATH,
    tags=TAGS,
    summary="Set a preference",
    description="The calendars that it makes a difference for are brought up to date soon after. 409 where"
    " the preference's description does not allow the level, 422 where it does not allow the value.",
    operation_class=SettingOperation,
    responses={
        200: ResponseSpec(Value, description="Another value was set before.", generate_examples=False),
        201: ResponseSpec(Value, description="Nothing was set before.", generate_examples=False),
    }
    | problems(404, 409, 413, 422),
)
async def put_preference(
    level: LevelName,
    owner: OwnerName,
    section: Section,
    key: Key,
    data: JSONBody[Setting],
    pool: InjectedPool,
    caller: InjectedCaller,
    clock: InjectedClock,
) -> Response[Value]:
    whose = await _owner(caller, pool, level, owner)
    done, created = await values.put(pool, caller.role, whose, section, key, data.value, clock())
    return Response(done, status_code=201 if created else 200)


@delete(
    PATH,
    tags=TAGS,
    summary="Set a preference no longer",
    description="What is set at a level farther from the person counts then, or the default.",
    responses=problems(404),
)
async def delete_preference(
    level: LevelName,
    owner: OwnerName,
    section: Section,
    key: Key,
    pool: InjectedPool,
    caller: InjectedCaller,
    clock: InjectedClock,
) -> None:
    whose = await _owner(caller, pool, level, owner)
    await values.remove(pool, caller.role, whose, section, key, clock())


@get(
    "/preferences/{level:str}/{owner:str}",
    tags=TAGS,
    summary="All that is set for one owner",
    responses=problems(404),
)
async def list_preferences(
    level: LevelName, owner: OwnerName, pool: InjectedPool, caller: InjectedCaller, select: Select = None
) -> Response[Values]:
    selection = Selection(Values, select, "preferences")
    whose = await _owner(caller, pool, level, owner)
    return selection.of(Values(await values.all_of(pool, caller.role, whose)))


@get(
    "/users/{username:str}/preferences",
    guards=[own_user],
    tags=TAGS,
    summary="What is in effect for a user, and where it comes from",
    description="Of every preference. `level` is `default` where none is set. The user's synchronizations are"
    " named where they have another value, or have it from somewhere else.",
    responses=problems(404),
)
async def get_effective_preferences(
    username: Username, pool: InjectedPool, caller: InjectedCaller, select: Select = None
) -> Response[EffectiveValues]:
    selection = Selection(EffectiveValues, select, "preferences")
    return selection.of(EffectiveValues(await values.effective(pool, caller.role, username)))


preference_handlers = [
    get_preference,
    put_preference,
    delete_preference,
    list_preferences,
    get_effective_preferences,
]
