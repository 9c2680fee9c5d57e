"""A sync job as it is written down: what is fetched, with which arguments, in which order."""

import msgspec

from app.errors import Problem
from app.sources.contract import Json
from app.sources.reading import READ_ONLY, convert, refuse

__all__ = ["Definition", "Resource", "parse_definition"]

MAX_RESOURCES = 50


class Resource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One resource of the integration, and how it is asked for.

    ``id`` and the values in ``query`` may hold placeholders: ``{{args.x}}``, ``{{resources.NAME.field}}`` of
    a resource that this one depends on, and ``{{previous_run_date}}``.
    """

    resource: str
    """Its name, as the integration knows it; also in ``{{resources.NAME.field}}``, with dots for slashes."""
    method: str = "list"
    id: Json = None
    """Of one object, where only that is wanted."""
    query: dict[str, Json] = msgspec.field(default_factory=dict)
    """Parameters. One whose value turns out to be null is left out."""
    loop_on: str | None = None
    """An argument that is an array: the request is made for each element, which ``{{args.x}}`` then is."""
    depends_on: str | None = None
    """Another resource of the job: the request is made for each of its objects."""
    persist: bool = False
    """Store the records and apply them to the users' timetables; otherwise they go to the webhook."""


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller says of a sync job."""

    integration_name: str
    resources: list[Resource]
    args_schema: dict[str, Json] = msgspec.field(default_factory=dict)
    """JSON Schema of the arguments; those without a ``$schema`` are read by draft 2020-12."""
    environment_id: str | None = None
    """The caller's own; kept and returned."""


def parse_definition(value: Json) -> Definition:
    """The definition in a body. Raises Invalid, naming the place, where its form is wrong."""
    if not isinstance(value, dict):
        raise refuse([Problem(detail="Expected a JSON object.")])
    members = {name: member for name, member in value.items() if name not in READ_ONLY}
    resources = members.get("resources")
    if isinstance(resources, list):
        if not 1 <= len(resources) <= MAX_RESOURCES:
            raise refuse([Problem(field="resources", detail=f"Expected 1 to {MAX_RESOURCES} resources.")])
        # One by one, as msgspec does not say which of several is wrong.
        members["resources"] = [
            convert(resource, Resource, f"resources[{position}]")
            for position, resource in enumerate(resources)
        ]
    return convert(members, Definition)
