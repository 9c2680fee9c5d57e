"""What integrations need of a job: it is refused when the job is saved, or else when it meets its account."""

from typing import Any

import pytest

from app.errors import Invalid
from app.sources.contract import ResourceRequest
from app.sources.definition import parse_definition
from app.sources.integrations import INTEGRATIONS
from app.sources.validation import check_definition

ARGS = {
    "properties": {
        "user": {"type": "string"},
        "users": {"type": "array"},
        "feeds": {"type": "array", "items": {"type": "object"}},
        "either": {"type": ["array", "string"]},
    }
}
MINE = {"resource": "timetable", "method": "list", "id": "{{args.user}}"}
FEED = {"resource": "timetable", "method": "get", "id": "{{args.user}}"}
ANY = {"resource": "lectures"}


def refused(integration: str, *resources: dict[str, Any]) -> list[str]:
    """The places of what is wrong with the job."""
    job = {"integration_name": integration, "args_schema": ARGS, "resources": list(resources)}
    try:
        check_definition(parse_definition(job), INTEGRATIONS)
    except Invalid as error:
        return [problem.field or "" for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("integration", "resource"),
    [
        ("mytimetable", MINE),
        ("mytimetable", MINE | {"id": "ada"}),
        ("mytimetable", MINE | {"id": 4711}),
        ("mytimetable", MINE | {"id": "{{args.user}}@uni.example"}),
        ("mytimetable", MINE | {"id": "{{args.users}}", "loop_on": "users"}),
        ("mytimetable", MINE | {"id": "{{args.feeds.user}}", "loop_on": "args.feeds"}),
        ("mytimetable", MINE | {"id": "{{args.either}}"}),
        ("mytimetable", MINE | {"query": {"types": ["HC", "WC"], "since": "{{args.users}}", "x": None}}),
        ("icalendar", FEED),
        ("icalendar", FEED | {"query": {"url": "https://uni.example/a.ics"}}),
        ("icalendar", FEED | {"query": {"url": "{{args.feeds.url}}"}, "loop_on": "feeds"}),
        ("icalendar", FEED | {"query": {"url": "{{args.user}}/x.ics"}}),
        ("http-json", ANY),
        ("http-json", ANY | {"method": "get", "id": "{{args.user}}"}),
    ],
)
def test_a_job_that_has_what_it_needs_is_accepted(integration: str, resource: dict[str, Any]) -> None:
    assert refused(integration, resource) == []


@pytest.mark.parametrize(
    ("integration", "resource", "fields"),
    [
        ("mytimetable", {"resource": "timetable"}, ["id"]),
        ("mytimetable", MINE | {"id": ""}, ["id"]),
        ("mytimetable", MINE | {"id": ["{{args.user}}"]}, ["id"]),
        ("mytimetable", MINE | {"id": "a\tb"}, ["id"]),
        ("mytimetable", MINE | {"id": "{{args.users}}"}, ["id"]),
        ("mytimetable", MINE | {"id": "{{args.users}}", "loop_on": "feeds"}, ["id"]),
        ("mytimetable", MINE | {"resource": "timetables"}, ["resource"]),
        ("mytimetable", MINE | {"method": "get"}, ["method"]),
        (
            "mytimetable",
            MINE | {"query": {"filter": {"type": "HC"}, "x": [["HC"]]}},
            ["query.filter", "query.x"],
        ),
        ("icalendar", {"resource": "timetable", "method": "get"}, ["id"]),
        ("icalendar", {"resource": "feed", "id": "ada"}, ["resource", "method"]),
        ("icalendar", FEED | {"query": {"url": 3}}, ["query.url"]),
        ("icalendar", FEED | {"query": {"url": "ftp://uni.example/a.ics"}}, ["query.url"]),
        ("icalendar", FEED | {"query": {"since": "yesterday"}}, ["query.since"]),
        ("http-json", ANY | {"method": "delete"}, ["method"]),
        ("http-json", ANY | {"query": {"filter": {"type": "HC"}}}, ["query.filter"]),
        ("http-json", ANY | {"id": "{{args.users}}"}, ["id"]),
    ],
)
def test_a_job_that_lacks_something_is_refused_when_it_is_saved(
    integration: str, resource: dict[str, Any], fields: list[str]
) -> None:
    places = [f"resources[1].{field}" for field in fields]
    sound = {"mytimetable": MINE, "icalendar": FEED, "http-json": ANY}[integration] | {"resource": "other"}
    found = refused(integration, sound, resource)
    assert [place for place in found if not place.startswith("resources[0]")] == places


EVENT = {"uid": "key", "title": "name", "start": "from", "end": "to"}
DECLARED = {
    "resources": {
        "staff": {"path": "/people"},
        "person": {"path": "/people/{id}"},
        "lectures": {"path": "/lectures", "event": EVENT},
        "all": {"path": "/lectures", "event": EVENT, "username": "login"},
    }
}


@pytest.mark.parametrize(
    ("resource", "id", "fields"),
    [
        ("staff", None, []),
        ("all", None, []),
        ("person", "{{args.user}}", []),
        ("person", 3, []),
        ("lectures", "{{args.user}}", []),
        ("person", None, ["id"]),
        ("person", "..", ["id"]),
        ("person", ["ada"], ["id"]),
        ("lectures", None, ["id"]),
        ("lectures", ["ada"], ["id"]),
        ("lecturs", "ada", ["resource"]),
    ],
)
def test_what_an_account_declares_is_known_when_a_job_meets_it(
    resource: str, id: Any, fields: list[str]
) -> None:
    request = ResourceRequest(resource=resource, method="list", id=id)
    http_json = INTEGRATIONS["http-json"]
    assert list(http_json.check_resource(request, None)) == []
    assert [problem.field for problem in http_json.check_resource(request, DECLARED)] == fields


def test_settings_that_are_wrong_by_now_are_said() -> None:
    """As another version has accepted them."""
    request = ResourceRequest(resource="staff", method="list")
    [problem] = INTEGRATIONS["http-json"].check_resource(request, {"resources": {"staff": {}}})
    assert (problem.field, "path" in problem.detail) == ("resource", True)


@pytest.mark.parametrize("job", [MINE | {"id": ""}, {"resource": "timetable", "method": "list"}])
def test_an_id_that_is_not_there_is_called_missing(job: dict[str, Any]) -> None:
    body = {"integration_name": "mytimetable", "args_schema": ARGS, "resources": [job]}
    with pytest.raises(Invalid, match="Missing: expected the username"):
        check_definition(parse_definition(body), INTEGRATIONS)
