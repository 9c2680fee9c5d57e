"""How the bodies of sources are read, and described in the OpenAPI document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias
from uuid import UUID

import msgspec
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, RequestBody
from litestar.params import JSONBody, PathParameter

__all__ = ["AnyBody", "Id", "body_operation", "patch_operation"]

AnyBody: TypeAlias = JSONBody[dict[str, Any]]
"""A JSON object, read by ``app.sources``: it names the place of everything that is wrong."""

Id: TypeAlias = Annotated[UUID, PathParameter(description="As it was given when it was made.")]

MERGE_PATCH = "application/merge-patch+json"


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
