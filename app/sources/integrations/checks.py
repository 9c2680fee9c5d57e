"""What integrations check of an account: its settings, by a struct, and its credentials."""

from base64 import b64encode
from collections.abc import Collection, Mapping
from typing import TypeVar
from urllib.parse import quote

import msgspec

from app.errors import Problem
from app.provisioning.text import is_username
from app.sources.contract import Account, Json, ReadFailed, ResourceRequest
from app.sources.placeholders import has_placeholder
from app.sources.reading import explained
from app.timetables.times import is_zone

__all__ = [
    "MAX_PLACE",
    "ZoneSettings",
    "authorization",
    "check_credentials",
    "check_id",
    "check_query",
    "check_settings",
    "check_username",
    "in_path",
    "settings_of",
    "username_of",
    "username_only",
]


MAX_PLACE = 200
"""Characters of the place of a problem."""


class ZoneSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of an account that all integrations have."""

    zone: str | None = None
    """IANA name, for times and days without a zone. Default: the configured one."""

    def __post_init__(self) -> None:
        if self.zone is not None and not is_zone(self.zone):
            raise ValueError("zone: not the IANA name of a time zone, as Europe/Amsterdam is")


Settings = TypeVar("Settings", bound=ZoneSettings)


def settings_of(account: Account, type: type[Settings]) -> Settings:
    """The account's settings. Raises ReadFailed where they are not as they should be."""
    try:
        return msgspec.convert(account.settings, type)
    except msgspec.ValidationError as error:
        raise ReadFailed(f"The account's settings are wrong: {error}.") from None


def check_settings(account: Account, type: type[Settings]) -> list[Problem]:
    """What is wrong with the account's settings; of several things, the first."""
    try:
        msgspec.convert(account.settings, type)
    except msgspec.ValidationError as error:
        detail, _, where = str(error).partition(" - at `$")
        where = where.rstrip("`")
        field = f"settings{_member(account.settings, where, type)}"[:MAX_PLACE]
        return [Problem(field=field, detail=explained(detail, where, type))]
    return []


def _member(settings: Mapping[str, Json], where: str, type: type[Settings]) -> str:
    """The place with the name of the member of an object, for which msgspec puts ``[...]``."""
    name, unnamed, rest = where.partition("[...]")
    members = settings.get(name.removeprefix(".")) if unnamed else None
    for member, value in members.items() if isinstance(members, dict) else ():
        try:
            msgspec.convert({**settings, name.removeprefix("."): {member: value}}, type)
        except msgspec.ValidationError:
            return f"{name}.{member}{rest}"
    return where


def check_credentials(
    account: Account,
    *,
    required: Collection[str] = (),
    optional: Collection[str] = (),
    each: str | None = None,
) -> list[Problem]:
    """What is missing of the account's credentials, and what is not known here.

    ``each``: how the names of further ones begin, which go on with a username.
    """
    known = ", ".join([*required, *optional, *([f"{each}USERNAME"] if each else [])]) or "none"
    missing = [name for name in required if not account.credentials.get(name)]
    unknown = [
        name
        for name in account.credentials
        if name not in (*required, *optional)
        and not (each and name.startswith(each) and is_username(name.removeprefix(each)))
    ]
    return [Problem(field=f"credentials.{name}", detail="Missing.") for name in missing] + [
        Problem(field=f"credentials.{name}", detail=f"Not known here; known: {known}.") for name in unknown
    ]


def check_username(request: ResourceRequest) -> list[Problem]:
    """What is wrong with the id of a request that a job describes, where it has to be a username."""
    if request.id in (None, ""):
        return [Problem(field="id", detail="Missing: expected the username whose timetable it is.")]
    filled_in_later = isinstance(request.id, str) and has_placeholder(request.id)
    if filled_in_later or username_only(request) is not None:
        return []
    return [Problem(field="id", detail="Expected the username whose timetable it is.")]


def check_id(request: ResourceRequest) -> list[Problem]:
    """What is wrong with the id of a request that a job describes, where it becomes a part of the path."""
    if request.id is None:
        return [Problem(field="id", detail="Missing: the resource's path needs it.")]
    try:
        in_path(request.id)
    except ReadFailed:
        return [Problem(field="id", detail="Expected a text or an integer that can be a part of a path.")]
    return []


def check_query(request: ResourceRequest) -> list[Problem]:
    """What no parameter of a URL can be, in the query of a request that a job describes."""
    return [
        Problem(field=f"query.{name}"[:MAX_PLACE], detail="No parameter can be an object or a list of lists.")
        for name, value in request.query.items()
        if any(isinstance(item, dict | list) for item in (value if isinstance(value, list) else [value]))
    ]


def username_of(request: ResourceRequest) -> str:
    """The user whose timetable is asked for. Raises ReadFailed where the id is no username."""
    users = username_only(request)
    if users is None:
        raise ReadFailed("The id of a timetable is the username whose it is; this is none.")
    return users[0]


def username_only(request: ResourceRequest) -> tuple[str, ...] | None:
    """The one user whose timetable is asked for; None where the id is no username.

    A number is one: that of a student, say, which a placeholder leaves the number that its parent has.
    """
    id = str(request.id) if type(request.id) is int else request.id
    return (id,) if isinstance(id, str) and is_username(id) else None


def in_path(id: Json) -> str:
    """The id as a segment of a URL's path, percent-encoded. Raises ReadFailed where it cannot be one."""
    if isinstance(id, bool) or not isinstance(id, str | int) or str(id) in ("", ".", ".."):
        raise ReadFailed("The id that the request's path needs is missing, or cannot be a part of a path.")
    return quote(str(id), safe="")


def authorization(account: Account) -> dict[str, str]:
    """The Authorization header by ``user`` and ``password`` (RFC 7617), or ``token`` (RFC 6750), if given."""
    given = account.credentials
    if token := given.get("token"):
        return {"Authorization": f"Bearer {token}"}
    if user := given.get("user"):
        pair = f"{user}:{given.get('password', '')}".encode()
        return {"Authorization": f"Basic {b64encode(pair).decode()}"}
    return {}
