"""How the bodies of sources are read, and described in the OpenAPI document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias
from uuid import UUID

import msgspec
from litestar import Request
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, RequestBody
from litestar.params import PathParameter, QueryParameter

from app.api.openapi import PRINTABLE
from app.errors import BadRequest
from app.sources.contract import Json
from app.sources.reading import check_depth

__all__ = [
    "AnyRequest",
    "Environment",
    "Id",
    "OfAccount",
    "OfJob",
    "body_operation",
    "patch_operation",
    "read_body",
]

AnyRequest: TypeAlias = Request[Any, Any, Any]

Id: TypeAlias = Annotated[UUID, PathParameter(description="As it was given when it was made.")]

Environment: TypeAlias = Annotated[
    str | None,
    QueryParameter(description="Those with this `environment_id` only.", max_length=200, pattern=PRINTABLE),
]

OfJob: TypeAlias = Annotated[UUID | None, QueryParameter(description="Of this job only.")]

OfAccount: TypeAlias = Annotated[UUID | None, QueryParameter(description="Of this account only.")]

MERGE_PATCH = "application/merge-patch+json"


async def read_body(request: AnyRequest) -> Json:
    """The body as JSON, whatever its media type: what is in it, ``app.sources`` checks by its places.

    Raises BadRequest where it is no JSON, and Invalid where it is nested too deeply.
    """
    body = await request.body()
    if not body:
        raise BadRequest("bad_request", "The body is missing: send a JSON object.")
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest("bad_request", f"The body is not JSON: send a JSON object. {error}.") from None
    except RecursionError:
        raise BadRequest("bad_request", "The body is nested too deeply.") from None
    check_depth(value)
    return value


def body_operation(form: type[msgspec.Struct], example: Mapping[str, Any]) -> type[Operation]:
    """An operation whose body is what the struct describes."""
    return _operation(_schema(form), example, ["application/json"])


def patch_operation(form: type[msgspec.Struct], example: Mapping[str, Any]) -> type[Operation]:
    """An operation whose body is a merge patch (RFC 7396) of what the struct describes."""
    schema = _schema(form)
    schema.pop("required", None)
    for name, member in schema["properties"].items():
        schema["properties"][name] = {"anyOf": [member, {"type": "null"}]}
    return _operation(schema, example, [MERGE_PATCH, "application/json"])


def _operation(schema: Any, example: Mapping[str, Any], media_types: list[str]) -> type[Operation]:
    content = OpenAPIMediaType(schema=schema, examples={"example": Example(value=dict(example))})

    @dataclass
    class BodyOperation(Operation):
        def __post_init__(self) -> None:
            self.request_body = RequestBody(content=dict.fromkeys(media_types, content), required=True)

    return BodyOperation


def _schema(form: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema that msgspec derives from the struct which reads the body: it cannot say anything else."""
    _, components = msgspec.json.schema_components([form], ref_template="{name}")

    def inline(value: Any) -> Any:
        match value:
            case {"$ref": str(name)}:
                return inline(components[name])
            case dict():
                return {key: inline(inner) for key, inner in value.items() if key != "title"}
            case list():
                return [inline(inner) for inner in value]
            case _:
                return value

    found: dict[str, Any] = inline(components[form.__name__])
    return found
