"""Form-encoded bodies, and JSON bodies with the same names (CONTRACT §4)."""

from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException

from app.errors import BadRequest
from app.provisioning.users import Attribute, User

__all__ = ["Fields", "read_fields", "read_user"]

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 10_000


class Fields:
    """The fields of a body, each with all of its values in their order."""

    def __init__(self, values: dict[str, list[Any]]) -> None:
        self._values = values

    def text(self, name: str) -> str | None:
        """The only value of a field, or None if it is not given (or null). Raises BadRequest."""
        values = self._values.get(name, [])
        if len(values) > 1:
            raise BadRequest("invalid_body", f"{name}: given more than once.")
        if not values or values[0] is None:
            return None
        if not isinstance(values[0], str):
            raise BadRequest("invalid_body", f"{name}: expected a text.")
        return values[0]

    def items(self, name: str) -> list[Any]:
        """All values of a repeatable field. An empty text is none: so a form says that there are none."""
        return [value for value in self._values.get(name, []) if value != ""]


async def read_fields(request: Request[Any, Any, Any]) -> Fields | None:
    """The body's fields, or None if there is no body.

    Raises BadRequest, and answers 415 for a body that is neither a form nor JSON, or is compressed.
    """
    body = await request.body()
    if not body:
        return None
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(status_code=415, detail="Content-Encoding: expected none.")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == FORM:
        return Fields(_form(body))
    if media_type == "application/json":
        return Fields(_json(body))
    raise HTTPException(status_code=415, detail=f"Content-Type: expected {FORM} or application/json.")


def _form(body: bytes) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError as error:
        raise BadRequest("invalid_body", "The body is not a form in UTF-8.") from error
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _json(body: bytes) -> dict[str, list[Any]]:
    try:
        decoded = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:  # msgspec.DecodeError is a ValueError
        raise BadRequest("invalid_body", "The body is not JSON in UTF-8.") from error
    if not isinstance(decoded, dict):
        raise BadRequest("invalid_body", "The body: expected a JSON object.")
    return {name: value if isinstance(value, list) else [value] for name, value in decoded.items()}


def read_user(fields: Fields, username: str) -> User:
    """The user that the fields describe; what is not given is nothing. Raises BadRequest."""
    roles = fields.items("roles")
    if not all(isinstance(role, str) for role in roles):
        raise BadRequest("invalid_body", "roles: expected texts.")
    return User(
        username=username,
        display_name=fields.text("displayName"),
        locale=fields.text("locale"),
        attributes=_attributes(fields.items("attributes")),
        roles=tuple(roles),
    )


def _attributes(items: list[Any]) -> tuple[Attribute, ...]:
    """``name=value`` as often as there are values, or in JSON also objects as answers show them."""
    values: dict[str, list[str]] = {}
    for item in items:
        if isinstance(item, str):
            name, separator, value = item.partition("=")
            if not separator or not name:
                raise BadRequest("invalid_body", "attributes: expected name=value.")
            values.setdefault(name, []).append(value)
            continue
        try:
            attribute = msgspec.convert(item, Attribute)
        except msgspec.ValidationError as error:
            raise BadRequest(
                "invalid_body", 'attributes: expected "name=value", or objects with name and values.'
            ) from error
        if not attribute.name:
            raise BadRequest("invalid_body", "attributes: a name is missing.")
        values.setdefault(attribute.name, []).extend(attribute.values)
    return tuple(Attribute(name=name, values=tuple(v)) for name, v in values.items())
