"""How the bodies of descriptions of preferences are described in the OpenAPI document."""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

from app.preferences import patch
from app.preferences.document import DescriptionDocument

__all__ = ["CreateOperation", "PatchOperation"]

DESCRIPTION: dict[str, Any] = {
    "section": "faculty",
    "key": "colourScheme",
    "name": {"en": "Colour scheme", "nl": "Kleurenschema"},
    "valueType": "text",
    "allowedValues": ["calm", "vivid"],
    "maxLevel": "user",
    "default": "calm",
}
OPERATIONS: list[dict[str, Any]] = [
    {"op": "test", "path": "/maxLevel", "value": "synchronization"},
    {"op": "replace", "path": "/maxLevel", "value": "user"},
    {"op": "add", "path": "/name/nl", "value": "Tonen als"},
]
MERGE: dict[str, Any] = {"maxLevel": "user", "name": {"nl": "Tonen als"}}


def _schema(of: Any) -> Any:
    """The schema that msgspec derives from what reads the body, with what it refers to in its place."""
    schemas, definitions = msgspec.json.schema_components([of], ref_template="{name}")

    def resolved(part: Any) -> Any:
        if isinstance(part, list):
            return [resolved(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return resolved({**definitions[part["$ref"]], **{k: v for k, v in part.items() if k != "$ref"}})
        return {name: resolved(value) for name, value in part.items()}

    return resolved(schemas[0])


def _content(schema: Any, example: Any) -> OpenAPIMediaType:
    return OpenAPIMediaType(schema=schema, examples={"example": Example(value=example)})


@dataclass
class CreateOperation(Operation):
    """An operation whose body is a description."""

    def __post_init__(self) -> None:
        """Describe the body."""
        content = _content(_schema(DescriptionDocument), DESCRIPTION)
        self.request_body = RequestBody(content={patch.JSON: content}, required=True)


@dataclass
class PatchOperation(Operation):
    """An operation whose body is a change of a description, in either format."""

    def __post_init__(self) -> None:
        """Describe the body."""
        operations = _schema(list[patch.Operation])
        merge = Schema(
            type=OpenAPIType.OBJECT,
            description="The properties to change, each with its new value; null sets it back.",
        )
        self.request_body = RequestBody(
            content={
                patch.JSON_PATCH: _content(operations, OPERATIONS),
                patch.MERGE_PATCH: _content(merge, MERGE),
                patch.JSON: _content({"anyOf": [operations, merge.to_schema()]}, MERGE),
            },
            required=True,
        )
