"""The rules of a sync job beyond its form, and of the arguments that it is run with."""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import islice

import jsonschema_rs

from app.errors import Problem
from app.sources.contract import Integration, Json, ResourceRequest
from app.sources.definition import Definition, Resource
from app.sources.placeholders import PREVIOUS_RUN_DATE, dotted, find, resource_of
from app.sources.reading import check_text, encode, refuse, within

__all__ = [
    "ancestors",
    "array_argument",
    "check_args",
    "check_definition",
    "check_resources",
    "is_incremental",
    "without_taker",
]

MAX_NAME_LENGTH = 200
MAX_SCHEMA_BYTES = 100_000
MAX_ARGS_BYTES = 5_000_000
MAX_PROBLEMS = 100
MAX_COST = 10_000_000
"""Bytes of a schema times bytes of the arguments, up to which all that the schema refuses is listed."""


def check_definition(definition: Definition, integrations: Mapping[str, Integration]) -> None:
    """Raise Invalid with everything that is wrong with a job, each by its place."""
    problems = [
        *_check_integration(definition, integrations),
        *check_text("environment_id", definition.environment_id, MAX_NAME_LENGTH),
        *_check_schema(definition.args_schema),
        *_check_order(definition.resources),
        *_check_places(definition),
    ]
    if problems:
        raise refuse(problems)


def check_resources(
    resources: Sequence[Resource],
    integration: Integration,
    settings: Mapping[str, Json] | None = None,
) -> Iterator[Problem]:
    """What the integration says is wrong with resources; ``settings``: of the account, where one is known."""
    for position, resource in enumerate(resources):
        request = ResourceRequest(
            resource=resource.resource, method=resource.method, id=resource.id, query=resource.query
        )
        yield from within(f"resources[{position}]", integration.check_resource(request, settings))


def check_args(definition: Definition, args: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments of a run, the schema's defaults filled in. Raises Invalid, naming every place."""
    properties = _properties(definition.args_schema)
    defaults = {
        name: schema["default"]
        for name, schema in properties.items()
        if isinstance(schema, dict) and "default" in schema
    }
    complete = {**defaults, **args}
    if len(encode(complete)) > MAX_ARGS_BYTES:
        raise refuse([Problem(field="args", detail=f"Longer than {MAX_ARGS_BYTES} bytes.")])
    # What the schema refuses, a resource cannot do with either: once is enough.
    problems = _violations(definition.args_schema, complete) or [*_missing(definition.resources, complete)]
    if problems:
        raise refuse(problems)
    return complete


def ancestors(resource: Resource, resources: Sequence[Resource]) -> list[str]:
    """The resources that one depends on, the nearest first. For a job without cycles and unknown parents."""
    parents = {one.resource: one.depends_on for one in resources}
    found: list[str] = []
    name = resource.depends_on
    while name is not None and name in parents and name not in found:
        found.append(name)
        name = parents[name]
    return found


def array_argument(loop_on: str) -> str:
    """The argument that ``loop_on`` names, written as ``x``, ``args.x`` or ``{{args.x}}``."""
    return loop_on.strip().removeprefix("{{").removesuffix("}}").strip().removeprefix("args.")


def is_incremental(resources: Sequence[Resource]) -> bool:
    """Whether a job asks for what has changed since the run before."""
    return any(
        place.expression == PREVIOUS_RUN_DATE
        for resource in resources
        for value, field in ((resource.id, "id"), (resource.query, "query"))
        for place in find(value, field)
    )


def without_taker(resources: Sequence[Resource]) -> str | None:
    """What is wrong with a job where no webhook is configured; None: every record is of use all the same.

    A resource that is not persisted may well be there for those that depend on it.
    """
    parents = {resource.depends_on for resource in resources}
    names = [one.resource for one in resources if not one.persist and one.resource not in parents]
    if not names:
        return None
    return (
        f"The records of {', '.join(names)} would go nowhere: they are neither persisted, nor is there a"
        ' webhook. Give the resource "persist": true, or configure [sources] webhook.'
    )


def _check_integration(definition: Definition, integrations: Mapping[str, Integration]) -> Iterator[Problem]:
    integration = integrations.get(definition.integration_name)
    if integration is None:
        known = ", ".join(sorted(integrations))
        yield Problem(field="integration_name", detail=f"There is no such integration. Known are: {known}.")
        return
    yield from check_resources(definition.resources, integration)


def _check_schema(schema: dict[str, Json]) -> Iterator[Problem]:
    if schema.get("type", "object") != "object":
        yield Problem(field="args_schema.type", detail="Arguments are an object: expected object.")
        return
    if len(encode(schema)) > MAX_SCHEMA_BYTES:
        yield Problem(field="args_schema", detail=f"Longer than {MAX_SCHEMA_BYTES} bytes.")
        return
    try:
        _validator(schema)
    except ValueError as error:  # jsonschema_rs.ValidationError is one
        path = getattr(error, "instance_path", ())
        detail = getattr(error, "message", "It cannot be read.").partition("\n")[0][:300]
        yield Problem(field=_at("args_schema", path), detail=f"Not a JSON Schema: {detail}.")


def _validator(schema: Mapping[str, Json]) -> "jsonschema_rs.Validator":
    """Nothing is fetched from elsewhere; patterns are matched in linear time; messages show no argument."""
    return jsonschema_rs.validator_for(
        dict(schema),
        validate_formats=True,
        offline=True,
        pattern_options=jsonschema_rs.RegexOptions(),
        mask="the value",
    )


def _violations(schema: Mapping[str, Json], args: Mapping[str, Json]) -> list[Problem]:
    """What the schema refuses: the first hundred; where that would cost too much, the first."""
    validator = _validator(schema)
    if len(encode(schema)) * len(encode(args)) <= MAX_COST:
        errors = validator.iter_errors(args)
    else:
        # It makes all errors at once, each with a part of the schema in it: gigabytes, of long arguments.
        try:
            validator.validate(args)
        except jsonschema_rs.ValidationError as first:
            errors = iter([first])
        else:
            return []
    return [
        Problem(field=_at("args", error.instance_path), detail=f"{error.message[:300]}.")
        for error in islice(errors, MAX_PROBLEMS)
    ]


def _at(field: str, path: Sequence[str | int]) -> str:
    return field + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _missing(resources: Sequence[Resource], args: Mapping[str, Json]) -> Iterator[Problem]:
    """Arguments that a job cannot do without, though its schema can."""
    for position, resource in enumerate(resources):
        looped = array_argument(resource.loop_on) if resource.loop_on is not None else None
        if looped is not None and not isinstance(args.get(looped), list):
            yield Problem(
                field=f"args.{looped}", detail=f"Expected an array: resources[{position}] loops on it."
            )
        for place in [*find(resource.id, "id"), *find(resource.query, "query")]:
            name = place.expression.removeprefix("args.").partition(".")[0]
            if place.expression.startswith("args.") and not place.whole and name not in args:
                yield Problem(
                    field=f"args.{name}",
                    detail=f"Missing: it is part of a text in resources[{position}].{place.field}.",
                )


def _check_order(resources: Sequence[Resource]) -> Iterator[Problem]:
    """Names that are there twice, parents that are not there, and cycles."""
    seen: set[str] = set()
    names = {resource.resource for resource in resources}
    for position, resource in enumerate(resources):
        at = f"resources[{position}]"
        yield from check_text(f"{at}.resource", resource.resource, MAX_NAME_LENGTH)
        yield from check_text(f"{at}.method", resource.method, MAX_NAME_LENGTH)
        if dotted(resource.resource) in seen:
            yield Problem(field=f"{at}.resource", detail="This resource is in the job twice.")
        seen.add(dotted(resource.resource))
        if resource.depends_on is not None and resource.depends_on not in names:
            yield Problem(field=f"{at}.depends_on", detail="There is no such resource in this job.")
    graph = {one.resource: {one.depends_on} if one.depends_on in names else set() for one in resources}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = set(error.args[1])
        for position, resource in enumerate(resources):
            if resource.resource in circle:
                yield Problem(
                    field=f"resources[{position}].depends_on",
                    detail="It depends on itself, directly or by way of others: a cycle.",
                )


def _check_places(definition: Definition) -> Iterator[Problem]:
    """Placeholders, and what loops."""
    properties = _properties(definition.args_schema)
    for position, resource in enumerate(definition.resources):
        at = f"resources[{position}]"
        if resource.loop_on is not None:
            schema = properties.get(array_argument(resource.loop_on))
            types = schema.get("type") if isinstance(schema, dict) else None
            if types != "array" and not (isinstance(types, list) and "array" in types):
                yield Problem(
                    field=f"{at}.loop_on",
                    detail="Expected an argument that args_schema.properties declares as an array.",
                )
        known = ancestors(resource, definition.resources)
        for place in [*find(resource.id, f"{at}.id"), *find(resource.query, f"{at}.query")]:
            if place.broken:
                detail = "A placeholder that does not end, or does not begin: expected {{…}}."
            elif (problem := _check_expression(place.expression, properties, known)) is not None:
                detail = problem
            elif (
                place.field == f"{at}.id"
                and place.whole
                and _is_array(place.expression, properties, resource)
            ):
                name = place.expression.removeprefix("args.")
                detail = f'An array, and the id is that of one object: loop on it ("loop_on": "{name}").'
            else:
                continue
            yield Problem(field=place.field, detail=detail)


def _is_array(expression: str, properties: Mapping[str, Json], resource: Resource) -> bool:
    """Whether it is an argument that is always an array, as a whole: the resource does not loop on it."""
    schema = properties.get(expression.removeprefix("args."))
    looped = resource.loop_on is not None and f"args.{array_argument(resource.loop_on)}" == expression
    return isinstance(schema, dict) and schema.get("type") == "array" and not looped


def _check_expression(expression: str, properties: Mapping[str, Json], known: Sequence[str]) -> str | None:
    """What is wrong with a placeholder, or None."""
    if expression == PREVIOUS_RUN_DATE:
        return None
    if expression.startswith("args."):
        return _check_argument(expression.removeprefix("args.").split("."), properties)
    if expression.startswith("resources."):
        if resource_of(expression, dict.fromkeys(known)) is not None:
            return None
        return (
            "Unknown placeholder: expected {{resources.NAME.FIELD}} of a resource that this one depends on"
            f" ({', '.join(map(dotted, known)) or 'it depends on none'})."
        )
    return "Unknown placeholder: expected {{args.NAME}}, {{resources.NAME.FIELD}} or {{previous_run_date}}."


def _check_argument(path: Sequence[str], properties: Mapping[str, Json]) -> str | None:
    """Follow the path as far as the schema declares what there is."""
    for name in path:
        if name not in properties:
            return "Unknown placeholder: args_schema.properties declares no such argument."
        schema = properties[name]
        properties = _properties(schema) if isinstance(schema, dict) else {}
        if not properties:
            return None
    return None


def _properties(schema: Mapping[str, Json]) -> Mapping[str, Json]:
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}
