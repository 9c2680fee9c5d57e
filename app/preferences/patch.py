"""Changes to a JSON document: JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396).

Names of members are found in upper or lower case, and a path needs no slash in front. Of JSON Patch, ``move``
and ``copy`` are refused: a description has no two members that could hold each other's values.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import json_merge_patch
import msgspec
from jsonpatch import JsonPatch, JsonPatchException, JsonPatchTestFailed, JsonPointer, JsonPointerException

from app.errors import BadRequest, Conflict, Invalid, Problem

__all__ = ["JSON", "JSON_PATCH", "MEDIA_TYPES", "MERGE_PATCH", "Operation", "Patch", "decode", "read_patch"]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
JSON = "application/json"
MEDIA_TYPES = (JSON_PATCH, MERGE_PATCH, JSON)
"""What a patch may be; as plain JSON, an array is a JSON Patch and an object a merge patch."""

MAX_SHOWN = 200
"""Characters of a path in a problem."""

Patch: TypeAlias = Callable[[Any], Any]
"""Gives a document changed; the one that it is given stays as it is.

Raises Conflict (``test_failed``) where a ``test`` fails, and Invalid (``invalid_patch``) where an operation
cannot be carried out on that document.
"""


class Operation(msgspec.Struct, frozen=True):
    """An operation of a JSON Patch. Members that are not known are ignored (RFC 6902 section 4)."""

    op: Literal["add", "replace", "remove", "test"]
    path: Annotated[str, msgspec.Meta(description="A JSON Pointer; the leading slash may be missing.")]
    value: Any | msgspec.UnsetType = msgspec.UNSET


def decode(body: bytes) -> Any:
    """The JSON of a body. Raises BadRequest if it is none, or if an object names a member twice."""
    try:
        msgspec.json.decode(body)  # stricter than the standard library: no NaN, no lone surrogates
        return json.loads(body, object_pairs_hook=_members)
    except RecursionError:
        raise BadRequest("invalid_body", "The body is nested far too deeply.") from None
    except ValueError:  # msgspec's and json's errors, and UnicodeDecodeError
        raise BadRequest("invalid_body", "The body is not JSON in UTF-8.") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise BadRequest("invalid_body", "An object in the body names a member twice.")
    return members


def read_patch(body: bytes, media_type: str) -> Patch:
    """The patch that a body is, by its media type, one of MEDIA_TYPES.

    Raises BadRequest if it is no JSON, and Invalid (``invalid_patch``) if it is no patch.
    """
    document = decode(body)
    if media_type == JSON_PATCH or (media_type == JSON and isinstance(document, list)):
        steps = _steps(document)
        return lambda target: _apply(steps, target)
    if media_type == JSON and not isinstance(document, dict):
        raise Invalid("invalid_patch", "Expected an array (JSON Patch) or an object (JSON Merge Patch).")
    return lambda target: _merge(document, target)


class _Step(NamedTuple):
    """An operation of a JSON Patch, ready to be carried out, and what it is about."""

    path: str
    patch: JsonPatch


def _steps(document: Any) -> list[_Step]:
    if not isinstance(document, list):
        raise Invalid("invalid_patch", "Expected an array of operations (RFC 6902).")
    return [_step(operation, position) for position, operation in enumerate(document)]


def _step(operation: Any, position: int) -> _Step:
    name = operation.get("op") if isinstance(operation, dict) else None
    if name in ("move", "copy"):
        raise _invalid(f"{position}/op", f"{name} is not possible here: use add, replace and remove.")
    try:
        read = msgspec.convert(operation, Operation)
    except msgspec.ValidationError:
        raise _invalid(
            str(position), "Expected an object with op (add, replace, remove or test) and path."
        ) from None
    if read.value is msgspec.UNSET and read.op != "remove":
        raise _invalid(f"{position}/value", f"Missing: {read.op} needs a value.")
    path = read.path.removeprefix("/")[:MAX_SHOWN]
    try:
        return _Step(path, JsonPatch([operation], pointer_cls=_Pointer))
    except JsonPointerException:
        raise _invalid(path, "Not a JSON Pointer: ~ is written ~0 and / is written ~1 (RFC 6901).") from None


def _apply(steps: Sequence[_Step], target: Any) -> Any:
    changed = deepcopy(target)
    for step in steps:
        changed = _carry_out(step, changed)
    return changed


def _carry_out(step: _Step, target: Any) -> Any:
    try:
        return step.patch.apply(target, in_place=True)
    except JsonPatchTestFailed as error:
        raise Conflict(
            "test_failed",
            f"{step.path}: not as the test expects. Nothing was changed; read the description again.",
            (Problem(field=step.path, detail="Not as the test expects."),),
        ) from error
    except (JsonPatchException, JsonPointerException) as error:
        raise _invalid(step.path, "There is no such place, or it cannot be changed so.") from error
    except RecursionError:
        raise _invalid(step.path, "The value is nested far too deeply.") from None


def _merge(patch: Any, target: Any) -> Any:
    try:
        # The library writes into what it is given.
        return json_merge_patch.merge(deepcopy(target), _by_members_of(target, patch))
    except RecursionError:
        raise _invalid(None, "A value is nested far too deeply.") from None


def _by_members_of(target: Any, patch: Any, path: str = "") -> Any:
    """The merge patch with names of members as the target has them."""
    if not isinstance(patch, dict):
        return patch
    members: dict[str, Any] = {}
    for name, value in patch.items():
        member = _member(target, name)
        if member in members:
            raise _invalid(f"{path}{member}"[:MAX_SHOWN], "Named twice.")
        below = target.get(member) if isinstance(target, dict) else None
        members[member] = _by_members_of(below, value, f"{path}{member}/")
    return members


def _invalid(field: str | None, detail: str) -> Invalid:
    where = f"{field}: " if field else ""
    return Invalid(
        "invalid_patch",
        f"The patch was refused and nothing was changed. {where}{detail}",
        (Problem(field=field, detail=detail),),
    )


class _Pointer(JsonPointer):
    """A JSON Pointer (RFC 6901) that finds members in upper or lower case and needs no leading slash."""

    def __init__(self, pointer: str) -> None:
        super().__init__(pointer if pointer == "" or pointer.startswith("/") else f"/{pointer}")

    def to_last(self, doc: Any) -> tuple[Any, str | int | None]:
        container, part = super().to_last(doc)
        return container, _member(container, part) if isinstance(part, str) else part

    def walk(self, doc: Any, part: str | int) -> Any:
        return super().walk(doc, _member(doc, part) if isinstance(part, str) else part)


def _member(container: Any, name: str) -> str:
    """The name of the member that is meant, or the same where there is none."""
    if not isinstance(container, Mapping) or name in container:
        return name
    folded = name.casefold()
    return next((member for member in container if member.casefold() == folded), name)
