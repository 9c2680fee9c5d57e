"""How operations are described in the OpenAPI document, beyond what their signatures say."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)

from app.api.errors import ProblemDetails, V0Error
from app.provisioning.unlink import Mode

__all__ = [
    "EventStreamOperation",
    "OptionalUnlinkOperation",
    "UnlinkOperation",
    "array",
    "form_operation",
    "problems",
    "text",
    "v0_errors",
]

MEANINGS = {
    400: ("The request cannot be understood.", "bad_request", "unlinkMode: expected one of UNLINK_ONLY, …"),
    401: ("No valid API token.", "unauthorized", "A valid API token is needed."),
    403: (
        "The token's role does not reach that far.",
        "forbidden",
        "This needs a token with the role admin.",
    ),
    404: ("There is no such thing.", "user_not_found", "There is no user with this username."),
    409: ("Not possible in the present state.", "user_exists", "There is a user with this username already."),
    412: (
        "It has changed since it was last seen.",
        "revision_mismatch",
        "Read it again, then repeat the change.",
    ),
    413: ("The request is larger than what is accepted.", "too_large", "The body is too large."),
    415: ("The body is of no known media type.", "unsupported_media_type", "Content-Type: expected …"),
    422: ("Understood, and not acceptable.", "unknown_user", "username: there is no such user."),
    503: ("The database does not answer.", "database_unavailable", "The database does not answer."),
    550: (
        "No access to the mailbox, or no such mailbox.",
        "no_access",
        "No access to the mailbox: the service account has no rights to it.",
    ),
}
USUAL = (400, 401, 403, 503)
"""Answers that every operation behind a token can give."""

PRINTABLE = "^[^\\x00-\\x1f\\x7f-\\x9f]*$"
"""The pattern of a text without control characters."""


def v0_errors(*statuses: int) -> dict[int, ResponseSpec]:
    """The errors of an operation of the provisioning API: these, and the usual ones."""

    def example(status: int) -> dict[str, Any]:
        _, code, message = MEANINGS[status]
        return {"errorType": code, "errorMessage": message, "status": "error"}

    return _errors(statuses, V0Error, MediaType.JSON, example)


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The errors of any other operation, by RFC 9457: these, and the usual ones."""

    def example(status: int) -> dict[str, Any]:
        title, code, detail = MEANINGS[status]
        return {"title": title, "status": status, "code": code, "detail": detail}

    return _errors(statuses, ProblemDetails, "application/problem+json", example)


def _errors(
    statuses: Iterable[int], body: type, media_type: str, example: Callable[[int], dict[str, Any]]
) -> dict[int, ResponseSpec]:
    return {
        status: ResponseSpec(
            body,
            description=MEANINGS[status][0],
            generate_examples=False,
            media_type=media_type,
            examples=[Example(value=example(status))],
        )
        for status in sorted({*USUAL, *statuses})
    }


def text(description: str, *, max_length: int | None = None, min_length: int | None = None) -> Schema:
    """A text of a body."""
    return Schema(
        type=OpenAPIType.STRING,
        description=description,
        max_length=max_length,
        min_length=min_length,
        pattern=PRINTABLE,
    )


def array(items: Schema, description: str) -> Schema:
    """A repeatable field of a body."""
    return Schema(type=OpenAPIType.ARRAY, items=items, description=description)


def form_operation(
    properties: Mapping[str, Schema],
    example: Mapping[str, Any],
    *,
    required: Iterable[str] = (),
    body_required: bool = True,
) -> type[Operation]:
    """An operation whose body is a form, or a JSON object with the same names."""
    schema = Schema(type=OpenAPIType.OBJECT, properties=dict(properties), required=list(required) or None)
    media_type = OpenAPIMediaType(schema=schema, examples={"example": Example(value=dict(example))})

    @dataclass
    class FormOperation(Operation):
        def __post_init__(self) -> None:
            self.request_body = RequestBody(
                content={"application/x-www-form-urlencoded": media_type, "application/json": media_type},
                required=body_required,
            )

    return FormOperation


def _name_modes(operation: Operation, *, required: bool) -> None:
    done = (operation.responses or {}).get("204")
    if isinstance(done, OpenAPIResponse):
        done.content = None
    for parameter in operation.parameters or ():
        if isinstance(parameter, Parameter) and parameter.name == "unlinkMode":
            parameter.required = required
            default = None if required else "UNLINK_ONLY"
            parameter.schema = Schema(type=OpenAPIType.STRING, enum=list(get_args(Mode)), default=default)


@dataclass
class EventStreamOperation(Operation):
    """An operation that is answered by server-sent events."""

    def __post_init__(self) -> None:
        """Say of which media type the answer is."""
        done = (self.responses or {}).get("200")
        if isinstance(done, OpenAPIResponse):
            event = Schema(
                type=OpenAPIType.OBJECT,
                properties={
                    "event": Schema(const="run"),
                    "data": Schema(type=OpenAPIType.STRING, content_media_type="application/json"),
                },
            )
            done.content = {"text/event-stream": OpenAPIMediaType(schema=event)}


@dataclass
class UnlinkOperation(Operation):
    """An operation that needs an unlinkMode. We read it as any text, to name the four ourselves."""

    def __post_init__(self) -> None:
        """Say which modes there are."""
        _name_modes(self, required=True)


@dataclass
class OptionalUnlinkOperation(Operation):
    """An operation that takes an unlinkMode, UNLINK_ONLY if none is given."""

    def __post_init__(self) -> None:
        """Say which modes there are."""
        _name_modes(self, required=False)
