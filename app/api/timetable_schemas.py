"""How the bodies of timetables are described in the OpenAPI document."""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

from app.timetables.document import EventDocument, StoredDocument

__all__ = ["LinesOperation", "PatchOperation", "TimetableOperation", "calendar_response"]

EVENT: dict[str, Any] = {
    "uid": "CS-101-L3@uni.example",
    "title": "Algorithms",
    "start": "2026-11-23T09:00:00",
    "end": "2026-11-23T10:45:00",
    "timeZone": "Europe/Amsterdam",
    "location": "Room 1.23",
    "categories": ["Lecture"],
    "url": "https://uni.example/courses/cs-101",
}
CALENDAR = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Timetable//EN
BEGIN:VEVENT
UID:CS-101@uni.example
DTSTART;TZID=Europe/Amsterdam:20261123T090000
DTEND;TZID=Europe/Amsterdam:20261123T104500
RRULE:FREQ=WEEKLY;COUNT=8
SUMMARY:Algorithms
END:VEVENT
END:VCALENDAR
"""


def _event_schema() -> Any:
    """The schema that msgspec derives from the struct which reads events: it cannot say anything else."""
    (_,), definitions = msgspec.json.schema_components([EventDocument], ref_template="{name}")
    return definitions["EventDocument"]


def _object(properties: dict[str, Any], required: list[str]) -> Schema:
    return Schema(type=OpenAPIType.OBJECT, properties=properties, required=required or None)


def _list(items: Any, description: str) -> Schema:
    return Schema(type=OpenAPIType.ARRAY, items=items, description=description)


def _content(schema: Schema, example: Any) -> OpenAPIMediaType:
    return OpenAPIMediaType(schema=schema, examples={"example": Example(value=example)})


@dataclass
class TimetableOperation(Operation):
    """An operation whose body is a timetable, in JSON or iCalendar."""

    def __post_init__(self) -> None:
        """Describe the body."""
        events = _list(_event_schema(), "All events of the timetable.")
        self.request_body = RequestBody(
            content={
                "application/json": _content(_object({"events": events}, ["events"]), {"events": [EVENT]}),
                "text/calendar": _content(Schema(type=OpenAPIType.STRING), CALENDAR),
            },
            required=True,
        )


@dataclass
class PatchOperation(Operation):
    """An operation whose body is a change of a timetable."""

    def __post_init__(self) -> None:
        """Describe the body."""
        properties = {
            "upsert": _list(_event_schema(), "Events to put in, by uid."),
            "delete": _list(Schema(type=OpenAPIType.STRING), "The uids of events to take out."),
        }
        example = {"upsert": [EVENT], "delete": ["CS-101-L4@uni.example"]}
        self.request_body = RequestBody(
            content={"application/json": _content(_object(properties, []), example)}, required=True
        )


@dataclass
class LinesOperation(Operation):
    """An operation whose body is a stream of timetables."""

    def __post_init__(self) -> None:
        """Describe the body: a schema of OpenAPI describes one line of it."""
        username = Schema(type=OpenAPIType.STRING)
        line = _object(
            {"username": username, "events": _list(_event_schema(), "All events of the timetable.")},
            ["username", "events"],
        )
        line.description = "One line; the body is any number of them."
        self.request_body = RequestBody(
            content={"application/x-ndjson": _content(line, {"username": "alice", "events": [EVENT]})},
            required=True,
        )


def calendar_response() -> ResponseSpec:
    """A timetable as it is given out."""
    example = {"revision": 7, "events": [EVENT | {"start": "2026-11-23T09:00:00+01:00"}]}
    return ResponseSpec(
        StoredDocument,
        description="The timetable; as iCalendar with `Accept: text/calendar`.",
        generate_examples=False,
        examples=[Example(value=example)],
    )
