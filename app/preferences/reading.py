"""Descriptions of preferences from JSON: whether each agrees with itself, and what may be changed of it."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from app.errors import Invalid, Problem
from app.preferences.checks import MAX_ITEMS, check_item, check_number, check_value
from app.preferences.document import (
    FALLBACK,
    LEVELS,
    AccessFlags,
    DescriptionDocument,
    PreferenceDescription,
    closer,
)
from app.timetables.event import check_text

__all__ = ["read_document", "read_patched"]

Description = TypeVar("Description", bound=DescriptionDocument)

MAX_NAME = 200
MAX_DESCRIPTION = 2000
MAX_SUB_GROUP = 64
MAX_SHOWN = 100
"""Characters of a property's name in a problem."""

CHANGEABLE = ("name", "description", "minLevel", "maxLevel", "subGroup", "rank", "default")
"""What may be changed of a description that is built in."""

GIVEN = ("prefDescId", "isBuiltin")
"""What may be changed of none."""

EXPECTED = {
    "section": "Expected a letter, then letters, digits, - and _, 64 characters at most.",
    "key": "Expected a letter, then letters, digits, - and _, 64 characters at most.",
    "name": 'Expected an object with texts by language, such as {"en": "Reminder"}.',
    "description": 'Expected an object with texts by language, such as {"en": "Minutes before the event."}.',
    "valueType": "Expected number, text, bool or list.",
    "minValue": "Expected a number, or null.",
    "maxValue": "Expected a number, or null.",
    "allowedValues": "Expected a list of values, or null.",
    "minLevel": f"Expected one of {', '.join(LEVELS)}.",
    "maxLevel": f"Expected one of {', '.join(LEVELS)}.",
    "sysMaxLevel": f"Expected one of {', '.join(LEVELS)}.",
    "accessFlags": 'Expected lists of "read" and "write" for admin, frontend and reader.',
    "subGroup": "Expected a text, or null.",
    "rank": "Expected a whole number of 32 bits.",
    "prefDescId": "Cannot be changed.",
    "isBuiltin": "Cannot be changed.",
}
"""What to do about a property that is not of its type."""


def read_document(document: Any) -> DescriptionDocument:
    """The description that a JSON document is. Its properties' names may be in upper or lower case.

    Raises Invalid (code ``invalid_description``) that names every field with a problem.
    """
    return _checked(_read(document, DescriptionDocument))


def read_patched(before: PreferenceDescription, document: Any) -> PreferenceDescription:
    """The description that a JSON document is which was made by changing another one.

    Raises Invalid as ``read_document`` does, also for what cannot be changed.
    """
    after = _read(document, PreferenceDescription)
    problems = [
        Problem(
            field=field.encode_name,
            detail=f"Cannot be changed of a built-in preference; {', '.join(CHANGEABLE)} can."
            if before.is_builtin
            else "Cannot be changed.",
        )
        for field in msgspec.structs.fields(PreferenceDescription)
        if field.encode_name not in CHANGEABLE
        and (before.is_builtin or field.encode_name in GIVEN)
        and getattr(before, field.name) != getattr(after, field.name)
    ]
    _raise_any(problems)
    return _checked(after)


def _raise_any(problems: Sequence[Problem]) -> None:
    if not problems:
        return
    first = problems[0]
    where = f"{first.field}: " if first.field else ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    raise Invalid(
        "invalid_description",
        f"The description was refused and nothing was changed. {where}{first.detail}{more}",
        tuple(problems),
    )


def _read(document: Any, type: type[Description]) -> Description:
    """The document, each property by its type."""
    if not isinstance(document, dict):
        _raise_any([Problem(detail="Expected a JSON object with the properties of a description.")])
    fields = {field.encode_name.casefold(): field for field in msgspec.structs.fields(type)}
    problems: list[Problem] = []
    read: dict[str, Any] = {}
    for name, value in document.items():
        field = fields.get(name.casefold())
        if field is None:
            problems.append(
                Problem(field=name[:MAX_SHOWN], detail="There is no such property, or it cannot be set.")
            )
        elif field.name in read:
            problems.append(Problem(field=field.encode_name, detail="Given twice."))
        else:
            try:
                read[field.name] = msgspec.convert(value, field.type)
            except msgspec.ValidationError:
                read[field.name] = None
                problems.append(Problem(field=field.encode_name, detail=EXPECTED[field.encode_name]))
    problems += [
        Problem(field=field.encode_name, detail="Missing.")
        for field in fields.values()
        if field.required and field.name not in read
    ]
    _raise_any(problems)
    return type(**read)


def _checked(description: Description) -> Description:
    """The description with the tags of languages in lower case, if it agrees with itself."""
    problems = [
        *_check_texts("name", description.name, MAX_NAME, lines=False, needed=True),
        *_check_texts("description", description.description, MAX_DESCRIPTION, lines=True, needed=False),
        *_check_bounds(description),
        *_check_allowed(description),
        *_check_levels(description),
        *_check_access(description.access_flags),
    ]
    sub_group = description.sub_group
    if sub_group is not None:
        detail = check_text(sub_group, MAX_SUB_GROUP) if sub_group.strip() else "Blank; null is for none."
        if detail:
            problems.append(Problem(field="subGroup", detail=detail))
    # The default can be checked by limits only that are right.
    if description.default is not None and not problems:
        detail = check_value(description, description.default)
        problems += [Problem(field="default", detail=detail)] if detail else []
    _raise_any(problems)
    return msgspec.structs.replace(
        description, name=_lower(description.name), description=_lower(description.description)
    )


def _lower(texts: dict[str, str]) -> dict[str, str]:
    return {language.lower(): text for language, text in texts.items()}


def _check_texts(
    field: str, texts: dict[str, str], limit: int, *, lines: bool, needed: bool
) -> Iterator[Problem]:
    languages = [language.lower() for language in texts]
    if FALLBACK not in languages and (texts or needed):
        detail = f"A text in English is needed: {FALLBACK}."
        yield Problem(field=f"{field}/{FALLBACK}", detail=detail)
    if len(set(languages)) < len(languages):
        yield Problem(field=field, detail="A language is given twice.")
    for language, text in texts.items():
        wrong = check_text(text, limit, lines) if text.strip() else "Blank."
        if wrong:
            yield Problem(field=f"{field}/{language}", detail=wrong)


def _check_bounds(description: DescriptionDocument) -> Iterator[Problem]:
    bounds = {"minValue": description.min_value, "maxValue": description.max_value}
    for field, bound in bounds.items():
        if bound is None:
            continue
        if description.value_type == "bool":
            yield Problem(field=field, detail="Expected null: the values are true and false.")
        elif detail := check_number(bound):
            yield Problem(field=field, detail=detail)
        elif description.value_type != "number" and (bound < 0 or bound != int(bound)):
            yield Problem(field=field, detail="Expected a whole number, of characters or items.")
    lower, upper = bounds.values()
    if lower is not None and upper is not None and upper < lower:
        yield Problem(field="maxValue", detail="Less than minValue.")


def _check_allowed(description: DescriptionDocument) -> Iterator[Problem]:
    allowed = description.allowed_values
    if allowed is None:
        return
    if description.value_type == "bool":
        yield Problem(field="allowedValues", detail="Expected null: the values are true and false.")
        return
    if not 0 < len(allowed) <= MAX_ITEMS:
        yield Problem(field="allowedValues", detail=f"Expected 1 to {MAX_ITEMS} values, or null for any.")
    for position, value in enumerate(allowed[:MAX_ITEMS]):
        detail = check_number(value) if description.value_type == "number" else check_item(value)
        if detail is None and value in allowed[:position]:
            detail = "It is there twice."
        if detail:
            yield Problem(field=f"allowedValues/{position}", detail=detail)


def _check_levels(description: DescriptionDocument) -> Iterator[Problem]:
    if closer(description.min_level, description.max_level):
        yield Problem(field="maxLevel", detail=f"Farther than minLevel, {description.min_level}.")
    if closer(description.max_level, description.sys_max_level):
        yield Problem(field="maxLevel", detail=f"Closer than sysMaxLevel, {description.sys_max_level}.")


def _check_access(flags: AccessFlags) -> Iterator[Problem]:
    if set(flags.admin) != {"read", "write"}:
        detail = "Expected read and write: an admin may do everything."
        yield Problem(field="accessFlags/admin", detail=detail)
    if "write" in flags.reader:
        yield Problem(field="accessFlags/reader", detail="Expected read, or nothing: a reader can only read.")
    if set(flags.frontend) == {"write"}:
        yield Problem(field="accessFlags/frontend", detail="Expected read too: who writes also reads.")
