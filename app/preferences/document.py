"""Descriptions of preferences, as they are written and read."""

from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

__all__ = [
    "FALLBACK",
    "LEVELS",
    "AccessFlags",
    "DescriptionDocument",
    "Level",
    "PreferenceDescription",
    "ValueType",
    "closer",
]

ValueType: TypeAlias = Literal["number", "text", "bool", "list"]
"""A list is one of texts."""

Level: TypeAlias = Literal["installation", "type", "role", "user", "synchronization"]
"""Where a preference can be set: for the installation, a type of synchronization (``ews``), a role of users,
a user, one synchronization."""

LEVELS: tuple[Level, ...] = get_args(Level)
"""From the farthest from the person to the closest, as SQL's preference_level."""


def closer(level: Level, other: Level) -> bool:
    """Whether a level is closer to the person than the other one."""
    return LEVELS.index(level) > LEVELS.index(other)


FALLBACK = "en"
"""The language that every text is in, for people who read none of the others."""

Name: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]*(?!\n)$", max_length=64)]
Language: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*(?!\n)$", max_length=35, examples=["en", "nl-BE"])
]
Texts: TypeAlias = dict[Language, str]
Access: TypeAlias = Literal["read", "write"]


class AccessFlags(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a token of each role may do with the values; one that is not named may do nothing with them."""

    admin: Annotated[tuple[Access, ...], Meta(description="Everything, always.")] = ("read", "write")
    frontend: Annotated[tuple[Access, ...], Meta(description="Who writes also reads.")] = ()
    reader: Annotated[tuple[Access, ...], Meta(description="A reader writes nothing.")] = ()


class DescriptionDocument(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """What a preference is called, what its values may be, and where it can be set."""

    section: Annotated[Name, Meta(description="Sections and keys are compared without regard to case.")]
    key: Name
    name: Annotated[Texts, Meta(description="By language (BCP 47); English, `en`, is always there.")]
    description: Annotated[Texts, Meta(description="As the name, or empty.")] = {}
    value_type: ValueType
    min_value: Annotated[
        float | None, Meta(description="Of a number; of a text: its length; of a list: its count.")
    ] = None
    max_value: float | None = None
    allowed_values: Annotated[
        tuple[Any, ...] | None, Meta(description="Of a list: what its items may be. null: anything.")
    ] = None
    min_level: Annotated[Level, Meta(description="The farthest level that it can be set at.")] = (
        "installation"
    )
    max_level: Annotated[
        Level,
        Meta(description="The closest level that it can be set at. Values closer than that do not count."),
    ] = "synchronization"
    sys_max_level: Annotated[Level, Meta(description="The closest that maxLevel may be.")] = "synchronization"
    access_flags: AccessFlags = AccessFlags(frontend=("read", "write"), reader=("read",))
    sub_group: Annotated[str | None, Meta(description="What is shown together within a section.")] = None
    rank: Annotated[int, Meta(description="The order of showing.", ge=-(2**31), le=2**31 - 1)] = 0
    default: Annotated[Any, Meta(description="What counts where nothing is set; null: nothing does.")] = None


class PreferenceDescription(DescriptionDocument, frozen=True, kw_only=True):
    """A description of a preference, as it is given out."""

    pref_desc_id: int
    is_builtin: bool
    """Only its name, description, minLevel, maxLevel, subGroup, rank and default can be changed."""
