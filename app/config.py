"""The configuration: what can be set, and how rooster.toml and the environment are read.

CONTRACT §2: one TOML file, ``rooster.toml`` in the working directory or the path in ``ROOSTER_CONFIG``;
``ROOSTER_`` + the path in capitals, joined by ``__``, overrides a key. A secret ``X`` can be given as
``X_file``, a file whose text, stripped, is the secret.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
import platformdirs
from msgspec import inspect

from app.errors import RoosterError
from app.sources.settings import SourceSettings
from providers.settings import (
    EwsSettings,
    FilePath,
    GoogleSettings,
    O365Settings,
    Secret,
    Settings,
    is_marked,
)

__all__ = [
    "Concurrency",
    "Config",
    "ConfigError",
    "DatabaseSettings",
    "Providers",
    "RunSettings",
    "SourceSettings",
    "SyncSettings",
    "TimetableSettings",
    "load_config",
]

PREFIX = "ROOSTER_"
NOT_KEYS = frozenset({"ROOSTER_CONFIG", "ROOSTER_TEST_DATABASE_URL"})
"""Environment variables that look like an override and are none: the file's path, the tests' database."""

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[int, msgspec.Meta(ge=1)]
Days = Annotated[int, msgspec.Meta(ge=0, le=3660)]


class ConfigError(RoosterError):
    """The configuration is wrong; the message names the key in one line and holds no secret."""

    def __init__(self, message: str) -> None:
        super().__init__("invalid_configuration", message)


class DatabaseSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[database]``: where PostgreSQL is."""

    url: Secret | None = None
    """A postgresql:// URL; None: the embedded PostgreSQL under ``data_dir``."""

    def __post_init__(self) -> None:
        if self.url is not None and not self.url.startswith(("postgresql://", "postgres://")):
            raise ValueError("url: expected a URL that begins with postgresql://")


class Providers(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[providers.TYPE]``: the synchronization types that this instance knows."""

    ews: EwsSettings | None = None
    o365: O365Settings | None = None
    googlecalendar: GoogleSettings | None = None


class TimetableSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[timetables]``: limits of what is accepted, the push window, and the guard against emptying."""

    max_body_bytes: Count = 10_000_000
    """Of one timetable: a request's body, or one line of POST /timetables."""
    max_events: Count = 5_000
    """Of one timetable, recurrences expanded."""
    max_uid_length: Annotated[int, msgspec.Meta(ge=1, le=2_000)] = 500
    """Characters. Above 2,000 a uid no longer fits into an index entry of PostgreSQL."""
    max_title_length: Count = 255
    """Characters; Exchange refuses a longer subject."""
    max_text_length: Count = 30_000
    """Characters of any other text: description, location, URL, category."""
    max_categories: Count = 25
    """Of one event."""
    window_days_back: Days = 30
    window_days_ahead: Days = 400
    guard_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    """Removing more than this share of a user's future events …"""
    guard_events: Annotated[int, msgspec.Meta(ge=0)] = 20
    """… and more than this many needs a confirmation."""


class Concurrency(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[sync.concurrency]``: mailboxes at a time in one worker, by type."""

    ews: Count = 10
    o365: Count = 10
    googlecalendar: Count = 10


class SyncSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[sync]``: how the workers work."""

    concurrency: Concurrency = Concurrency()
    resync_interval_seconds: Seconds = 21_600
    """After this long, a mailbox is compared with its timetable although nobody asked."""
    lease_seconds: Annotated[int, msgspec.Meta(ge=5)] = 60
    """A mailbox whose worker has not been heard of for this long goes to another one."""
    bulk_concurrency: Count = 10
    """Mailboxes that POST /synchronizations/sync has visited at once, in the whole installation."""
    probe_timeout_seconds: Seconds = 10
    """How long PUT /synchronizations waits for the provider's proof of access."""
    people: Literal["restore", "respect", "report"] = "restore"
    """What becomes of an event that a person deleted or changed in their calendar, once a refresh finds it:
    it is put back; or it stays as they left it until it changes in the timetable; or it is only counted."""
    refresh_interval_seconds: Annotated[int, msgspec.Meta(ge=0)] = 86_400
    """After this long, what is really in a mailbox is read although nobody asked; 0: never then."""
    refresh_wait_seconds: Seconds = 5
    """How long POST …/refresh waits for the end before it answers with the run."""


class RunSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[runs]``: what is remembered of work that is done."""

    keep_days: Annotated[int, msgspec.Meta(ge=1, le=3660)] = 90
    """How long runs that have ended, and the history of events, can be looked at."""


class Config(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration, complete with defaults. Its repr shows no secret."""

    instance: Annotated[str, msgspec.Meta(max_length=100)] = ""
    """Marks every pushed event; empty where none is needed, see ``require_instance``."""
    timezone: str = "UTC"
    """IANA name, for events that name none."""
    data_dir: FilePath = msgspec.field(
        default_factory=lambda: str(platformdirs.user_data_path("rooster", appauthor=False))
    )
    database: DatabaseSettings = DatabaseSettings()
    providers: Providers = Providers()
    sources: SourceSettings = SourceSettings()
    timetables: TimetableSettings = TimetableSettings()
    sync: SyncSettings = SyncSettings()
    runs: RunSettings = RunSettings()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.:@/+-]*", self.instance, re.ASCII):
            raise ValueError("instance: letters, digits and . : @ / + - _ only, for example uni.example")
        try:
            ZoneInfo(self.timezone)
        except (KeyError, OSError, ValueError):
            raise ValueError("timezone: not an IANA time zone, for example Europe/Amsterdam") from None

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of events that name none."""
        return ZoneInfo(self.timezone)

    @property
    def data_path(self) -> Path:
        """The data folder; it may not exist yet."""
        return Path(self.data_dir)

    def require_instance(self) -> str:
        """The instance's name. Raises ConfigError if there is none: pushed events must carry it."""
        if not self.instance:
            raise ConfigError(
                'instance is missing: set it in rooster.toml (instance = "uni.example") or as'
                " ROOSTER_INSTANCE. It marks every pushed event; never change it afterwards."
            )
        return self.instance


def load_config(environ: Mapping[str, str], cwd: Path) -> Config:
    """The configuration by the file and the environment. Raises ConfigError, in one clear line.

    Relative paths are taken from the folder of the configuration file, or from ``cwd`` if there is none.
    """
    named = environ.get("ROOSTER_CONFIG")
    file = cwd / (named or "rooster.toml")
    raw = _read_toml(file) if named or file.is_file() else {}
    info = inspect.type_info(Config)
    assert isinstance(info, inspect.StructType)
    for name, value in sorted(environ.items()):
        if name.startswith(PREFIX) and name not in NOT_KEYS:
            _override(raw, info, name, value)
    try:
        return msgspec.convert(_resolve(raw, info, file.parent, ""), Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_in_words(error, info)) from None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from None


def _struct(type_: inspect.Type) -> inspect.StructType | None:
    """The struct that a field holds, optional or not; None if it holds another thing."""
    members = type_.types if isinstance(type_, inspect.UnionType) else (type_,)
    return next((member for member in members if isinstance(member, inspect.StructType)), None)


def _field(struct: inspect.StructType, key: str, shown: str) -> tuple[inspect.Type, str | None]:
    """The type of ``key`` in the struct, and the secret's name if key is ``SECRET_file``."""
    types = {field.encode_name: field.type for field in struct.fields}
    if key in types:
        return types[key], None
    secret = key.removesuffix("_file")
    if secret != key and secret in types and is_marked(types[secret], "secret"):
        return types[secret], secret
    files = [f"{name}_file" for name, type_ in types.items() if is_marked(type_, "secret")]
    close = get_close_matches(key, [*types, *files], n=1)
    hint = f"; did you mean {close[0]}?" if close else f"; known here: {', '.join([*types, *files])}"
    raise ConfigError(f"{shown} is not a known key{hint}")


def _override(raw: dict[str, Any], info: inspect.StructType, name: str, value: str) -> None:
    """Put the environment variable into ``raw``, as the type that its key has."""
    *sections, key = name.removeprefix(PREFIX).lower().split("__")
    for section in sections:
        type_, _ = _field(info, section, name)
        struct = _struct(type_)
        if struct is None:
            raise ConfigError(f"{name}: {section} has no keys of its own")
        info = struct
        raw = raw.setdefault(section, {})
        if not isinstance(raw, dict):
            raise ConfigError(f"{name}: {section} is not a section in the configuration file")
    type_, secret = _field(info, key, name)
    if _struct(type_) is not None:
        raise ConfigError(f"{name} names a section; set one of its keys: {name}__KEY")
    raw.pop(secret or f"{key}_file", None)
    raw[key] = value if secret else _typed(type_, name, value)


def _typed(type_: inspect.Type, name: str, value: str) -> Any:
    """The text of an environment variable as a value of the type; its limits are checked later."""
    try:
        match type_:
            case inspect.VarTupleType():
                if value.lstrip().startswith("["):
                    return json.loads(value)
                return [part.strip() for part in value.split(",") if part.strip()]
            case inspect.IntType():
                return int(value)
            case inspect.FloatType():
                return float(value)
            case inspect.BoolType():
                return msgspec.convert(value.lower(), bool, strict=False)
            case _:
                return value
    except ValueError:  # of which json.JSONDecodeError and msgspec.ValidationError are kinds
        raise ConfigError(f"{name}: not a valid value, expected {_kind(type_)}") from None


def _kind(type_: inspect.Type) -> str:
    match type_:
        case inspect.VarTupleType():
            return "a list, as JSON or separated by commas"
        case inspect.IntType():
            return "a whole number"
        case inspect.FloatType():
            return "a number"
        case _:
            return "true or false"


def _resolve(raw: dict[str, Any], info: inspect.StructType, folder: Path, path: str) -> dict[str, Any]:
    """``raw`` with every ``X_file`` read and relative paths made absolute; unknown keys are errors."""
    resolved: dict[str, Any] = {}
    for key, value in raw.items():
        shown = f"{path}{key}"
        type_, secret = _field(info, key, shown)
        if secret is not None:
            if secret in raw:
                raise ConfigError(f"{path}{secret} and {shown} are both given: keep one")
            resolved[secret] = _read_secret(folder, value, shown)
        elif isinstance(value, dict) and (struct := _struct(type_)) is not None:
            resolved[key] = _resolve(value, struct, folder, f"{shown}.")
        elif isinstance(value, list) and isinstance(type_, inspect.VarTupleType):
            struct = _struct(type_.item_type)
            resolved[key] = [
                _resolve(item, struct, folder, f"{shown}[{position}].")
                if struct is not None and isinstance(item, dict)
                else item
                for position, item in enumerate(value)
            ]
        elif isinstance(value, str) and is_marked(type_, "path"):
            resolved[key] = str(folder / Path(value).expanduser())
        else:
            resolved[key] = value
    return resolved


def _read_secret(folder: Path, value: object, shown: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{shown}: expected the path of a file")
    file = folder / Path(value).expanduser()
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{shown}: {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{shown}: {file} is not a text file") from None
    if not text:
        raise ConfigError(f"{shown}: {file} is empty")
    return text


def _in_words(error: msgspec.ValidationError, info: inspect.StructType) -> str:
    """The message of msgspec, which names types and limits but no values, with the key first."""
    message, _, where = str(error).partition(" - at `$")
    key = where.rstrip("`").lstrip(".")
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", message):
        return f"{key}.{missing[1]} is missing"
    if message.startswith("Invalid enum value"):
        message = f"expected one of {', '.join(_choices(info, key))}"
    return f"{key}: {message}" if key else message


def _choices(info: inspect.StructType, key: str) -> list[str]:
    """The values that a setting can have."""
    *sections, name = key.split(".")
    for section in sections:
        type_, _ = _field(info, section, key)
        struct = _struct(type_)
        assert struct is not None
        info = struct
    type_, _ = _field(info, name, key)
    assert isinstance(type_, inspect.LiteralType)
    return [str(value) for value in type_.values]
