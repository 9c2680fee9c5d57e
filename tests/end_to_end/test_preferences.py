"""Each built-in preference at each provider: from the PUT to what is then in the mailbox, and back."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.end_to_end.installation import TYPES, Installation

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

TODAY = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
NUMBERS = count(1)

Held = dict[str, dict[str, Any]]
"""Our events in a mailbox, by their uids."""


@pytest.fixture(params=TYPES)
def type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def lesson(uid: str, days: float, *categories: str, **fields: Any) -> dict[str, Any]:
    start = TODAY + timedelta(days=days)
    return {
        "uid": uid,
        "title": f"Lesson {uid}",
        "start": start.isoformat(),
        "end": (start + timedelta(hours=1)).isoformat(),
        "timeZone": "Europe/Amsterdam",
        "location": "Room 1",
        "categories": list(categories),
        **fields,
    }


TIMETABLE = [
    lesson("past", -20, "Lecture"),
    lesson("near", 2, "Lecture", description="Chapter 1"),
    lesson("far", 40, "Exam"),
]


class Person:
    """A person with the timetable above, in a mailbox of their own."""

    def __init__(self, rooster: Installation, type: str) -> None:
        self.rooster = rooster
        self.type = type
        self.name = f"person-{next(NUMBERS)}-{type}"
        self.address = f"{self.name}@uni.example"
        self.id = 0

    async def prefer(self, preference: str, value: Any) -> None:
        """Set it, and wait until it has had its effect."""
        await self.rooster.api(
            "PUT", self._path(preference), 201, json={"value": value}, headers={"Accept": "*/*"}
        )
        await self.settled()

    async def prefer_no_more(self, preference: str) -> None:
        """The same for the opposite."""
        await self.rooster.api("DELETE", self._path(preference), 204)
        await self.settled()

    async def link(self) -> None:
        self.id = await self.rooster.person(self.name, self.type, TIMETABLE)
        await self.settled()

    async def held(self) -> Held:
        events = await self.rooster.held(self.type, self.address)
        return {event["marker"]["event"]: event for event in events if event["marker"]}

    async def requests(self) -> int:
        return sum((await self.rooster.requests(self.type)).values())

    def _path(self, preference: str) -> str:
        return f"/v1/preferences/user/{self.name}/{preference.replace('.', '/')}"

    async def settled(self) -> None:
        async def settled() -> bool:
            facts = await self.rooster.api("GET", f"/v1/synchronizations/{self.id}")
            return facts["status"] == "OK" and facts["backlog"] == 0 and not facts["counts"]["deleting"]

        await self.rooster.until(settled)


@pytest_asyncio.fixture(loop_scope="session")
async def person(serving: Installation, type: str) -> Person:
    made = Person(serving, type)
    await made.link()
    return made


def fields(held: Held, *names: str) -> dict[str, Any]:
    """These fields of each event; just the value where it is one field."""
    if len(names) == 1:
        return {uid: event[names[0]] for uid, event in held.items()}
    return {uid: tuple(event[name] for name in names) for uid, event in held.items()}


PRESENTATION: list[tuple[str, Any, str, dict[str, Any]]] = [
    ("presentation.showAs", "tentative", "showAs", dict.fromkeys(("past", "near", "far"), "tentative")),
    ("presentation.showAsByCategory", ["exam=free"], "showAs", {"far": "free"}),
    ("presentation.reminderMinutes", 45, "reminderMinutes", dict.fromkeys(("past", "near", "far"), 45)),
    ("presentation.reminderMinutes", -1, "reminderMinutes", dict.fromkeys(("past", "near", "far"), None)),
    ("presentation.privacy", "private", "privacy", dict.fromkeys(("past", "near", "far"), "private")),
    (
        "presentation.titleTemplate",
        "{{ title | upper }} ({{ location }})",
        "title",
        {uid: f"LESSON {uid.upper()} (Room 1)" for uid in ("past", "near", "far")},
    ),
    (
        "presentation.descriptionTemplate",
        "{{ description }}{% if 'Exam' in categories %}Good luck{% endif %}!",
        "description",
        {"past": "!", "near": "Chapter 1!", "far": "Good luck!"},
    ),
    ("presentation.categoryNames", ["Exam=Toets"], "categories", {"far": ["Toets"]}),
    (
        "presentation.colourByCategory",
        ["Exam=red", "Lecture=blue"],
        "colour",
        {"past": "blue", "near": "blue", "far": "red"},
    ),
]


@pytest.mark.parametrize(("preference", "value", "field", "expected"), PRESENTATION)
async def test_how_events_look(
    person: Person, preference: str, value: Any, field: str, expected: dict[str, Any]
) -> None:
    before = await person.held()
    await person.prefer(preference, value)
    after = await person.held()
    assert fields(after, field) == fields(before, field) | expected
    # The events themselves, not others in their place.
    assert fields(after, "id") == fields(before, "id")
    await person.prefer_no_more(preference)
    assert fields(await person.held(), field) == fields(before, field)


SELECTION: list[tuple[str, Any, set[str]]] = [
    ("selection.includeCategories", ["lecture"], {"past", "near"}),
    ("selection.excludeCategories", ["Lecture"], {"far"}),
    ("selection.includeTitles", ["near$"], {"near"}),
    ("selection.excludeTitles", ["(?i)NEAR", "^nothing"], {"past", "far"}),
    ("selection.daysAhead", 30, {"past", "near"}),
]


@pytest.mark.parametrize(("preference", "value", "expected"), SELECTION)
async def test_which_events_there_are(
    person: Person, preference: str, value: Any, expected: set[str]
) -> None:
    await person.prefer(preference, value)
    assert set(await person.held()) == expected
    out = next(iter({"past", "near", "far"} - expected))
    history = await person.rooster.api("GET", f"/v1/synchronizations/{person.id}/events/{out}")
    assert (history["status"], history["leftOutBy"]) == ("left_out", preference)
    assert (history["leftOutLevel"], history["leftOutOwner"]) == ("user", person.name)
    await person.prefer_no_more(preference)
    assert set(await person.held()) == {"past", "near", "far"}


async def test_a_rule_that_would_take_out_most_events_waits_for_an_approval(serving: Installation) -> None:
    """Whatever the provider: its calendar stays as it is until then."""
    person = Person(serving, "ews")
    path = f"/v1/preferences/user/{person.name}/selection/excludeCategories"
    exams = [lesson(f"exam{n}", n, "Exam") for n in range(1, 31)]
    person.id = await serving.person(person.name, person.type, [*exams, lesson("lecture", 5, "Lecture")])
    await person.settled()
    facts = f"/v1/synchronizations/{person.id}"

    async def held() -> bool:
        return bool((await serving.api("GET", facts))["status"] == "HELD")

    await serving.api("PUT", path, 201, json={"value": ["exam"]})
    await serving.until(held)
    error = (await serving.api("GET", facts))["lastError"]
    assert error.startswith("The preferences would remove 30 of 31 future events.")
    exam = await serving.api("GET", f"{facts}/events/exam1")
    assert (exam["status"], exam["waiting"]["code"]) == ("removing", "held")
    assert (exam["leftOutBy"], exam["leftOutLevel"]) == ("selection.excludeCategories", "user")
    assert len(await person.held()) == 31
    await serving.api("POST", f"{facts}/approve", 204)
    await person.settled()
    assert set(await person.held()) == {"lecture"}
    # To put them back removes nothing; to take them out once more needs another approval.
    await person.prefer_no_more("selection.excludeCategories")
    assert len(await person.held()) == 31
    await serving.api("PUT", path, 201, json={"value": ["exam"]})
    await serving.until(held)


async def test_how_far_back(serving: Installation, type: str) -> None:
    """For those who are new: what is there already stays."""
    person = Person(serving, type)
    await serving.api("PUT", f"/v0/users/{person.name}", 204)
    await serving.api("PUT", f"/v1/preferences/user/{person.name}/selection/daysBack", 201, json={"value": 7})
    await person.link()
    assert set(await person.held()) == {"near", "far"}
    await person.prefer_no_more("selection.daysBack")
    await person.prefer("selection.daysBack", 7)
    assert set(await person.held()) == {"past", "near", "far"}


async def test_in_a_calendar_of_its_own_until_a_cleanup(person: Person) -> None:
    rooster = person.rooster
    calendars = f"{rooster.control}/mailboxes/{person.type}/{quote(person.address, safe='')}/calendars"

    async def names() -> list[str]:
        async with rooster.http.get(calendars) as response:
            listed = (await response.json())["calendars"]
            return [calendar["name"] for calendar in listed if not calendar["isDefault"]]

    assert fields(await person.held(), "calendar") == dict.fromkeys(("past", "near", "far"))
    await person.prefer("calendar.name", "Timetable")
    assert await names() == ["Timetable"]
    held = await person.held()
    assert set(held) == {"past", "near", "far"}
    assert None not in fields(held, "calendar").values()
    await rooster.api(
        "DELETE", f"/v0/synchronizations/{person.id}?unlinkMode=CLEANUP", 204, headers={"Prefer": "wait=60"}
    )
    assert (await names(), await person.held()) == ([], {})


@pytest.mark.parametrize(("people", "title"), [("restore", "Lesson near"), ("respect", "Mine")])
async def test_what_becomes_of_what_people_change(person: Person, people: str, title: str) -> None:
    await person.prefer("sync.people", people)
    near = (await person.held())["near"]["id"]
    await person.rooster.person_does("PATCH", person.type, person.address, near, {"title": "Mine"})
    await person.rooster.refresh(person.id)
    await person.settled()
    assert (await person.held())["near"]["title"] == title


async def test_how_often_it_is_compared(person: Person) -> None:
    """For the type as a whole, and then for nobody any more."""
    path = f"/v1/preferences/type/{person.type}/sync/resyncMinutes"
    await person.rooster.api("PUT", path, 201, json={"value": 5})

    async def soon() -> bool:
        facts = await person.rooster.api("GET", f"/v1/synchronizations/{person.id}")
        at = facts["nextAttempt"]
        return at is not None and datetime.fromisoformat(at) < datetime.now(UTC) + timedelta(minutes=6)

    await person.rooster.until(soon)
    await person.rooster.api("DELETE", path, 204)


async def test_only_what_differs_is_written(person: Person) -> None:
    await person.prefer("presentation.showAs", "busy")
    before = await person.requests()
    await person.prefer("presentation.showAsByCategory", ["Exam=free"])
    assert await person.requests() - before == 1
    assert fields(await person.held(), "showAs") == {"past": "busy", "near": "busy", "far": "free"}
