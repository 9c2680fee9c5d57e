"""A made-up campus: plausible timetables that are the same on every machine, and their next edition.

Everything is in the form of CONTRACT §5, as a frontend would send it.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

__all__ = ["campus", "change"]

WEEKS = 20
BREAK_WEEK = 9
WEEKS_BEFORE_QUARTER = 4
"""A term begins four weeks before a calendar quarter and ends more than two weeks after it, so that there
is always something behind and something ahead."""

SUBJECTS = (
    ("Analyse réelle", "Europe/Amsterdam"),
    ("Algorithms & Data Structures", "Europe/Amsterdam"),
    ("Ökologie der Nordsee", "Europe/Amsterdam"),
    ("Introduction to Σ-algebras", "Europe/Amsterdam"),
    ("Mørk materie (joint seminar)", "Europe/Copenhagen"),
    ("日本語 1", "Europe/Amsterdam"),
    ("Vergelijkende taalwetenschap", "Europe/Amsterdam"),
    ("Public Policy (with Durham)", "Europe/London"),
    ("Machine Learning 🤖", "Europe/Amsterdam"),
    ("Łódź Film Workshop", "Europe/Warsaw"),
    ("Ἱστορία: sources and methods", "Europe/Amsterdam"),
    ("Climate Physics (with Boulder)", "America/Denver"),
)
BUILDINGS = ("Aula", "Boerhaave", "Christiaan Huygens", "Drift", "Erasmus", "Zernike")
HOURS = (9, 11, 13, 15)
LECTURES, TUTORIALS, LABS = range(WEEKS), range(1, 15), range(2, WEEKS, 4)
COURSES_EACH = 2
VISITORS = 0.4
"""This share of the people also hears the lectures of a third course."""
PEOPLE_PER_COURSE = 12
GROUPS = 3


def campus(people: int, today: date | None = None) -> Iterator[dict[str, Any]]:
    """So many people's timetables of the term around ``today`` (default: the present day in UTC).

    Each is ``{"username", "events"}`` with some 60 to 100 events; courses are shared.
    """
    first = _term(today or datetime.now(UTC).date())
    courses = [_course(number, first) for number in range(max(4, people * COURSES_EACH // PEOPLE_PER_COURSE))]
    for number in range(people):
        random = Random(f"person {number}")  # noqa: S311 - reproducible, not secret
        *taken, visited = random.sample(courses, COURSES_EACH + 1)
        events = [event for groups in taken for event in groups[random.randrange(GROUPS)]]
        if random.random() < VISITORS:
            events += [event for event in visited[0] if event["categories"] == ["Lecture"]]
        username = f"s{2_600_000 + number:07d}"
        events += _own(username, first, random)
        yield {
            "username": username,
            "events": sorted(events, key=lambda event: (event["start"], event["uid"])),
        }


def change(events: list[dict[str, Any]], share: float, seed: int) -> list[dict[str, Any]]:
    """The next edition: about this share of the events in another room, at another time, or cancelled.

    Some are new. At least one event changes where ``share`` is above 0 and there is any. The uids of the
    others stay as they were; nothing given is modified.
    """
    random = Random(f"edition {seed}")  # noqa: S311 - reproducible, not secret
    if not events or share <= 0:
        return [dict(event) for event in events]
    chosen = set(random.sample(range(len(events)), min(len(events), max(1, round(len(events) * share)))))
    edition = [
        _changed(event, random) if position in chosen else dict(event)
        for position, event in enumerate(events)
    ]
    for number in range(round(len(chosen) / 8)):
        model = events[random.randrange(len(events))]
        edition.append(
            _moved(model, random)
            | {"uid": f"extra-{seed}-{number}@campus.example", "title": f"Extra: {model['title']}"}
        )
    return edition


def _changed(event: dict[str, Any], random: Random) -> dict[str, Any]:
    action = random.choices(("room", "time", "cancel"), (5, 3, 2))[0]
    if action == "room":
        return event | {"location": _room(random)}
    return _moved(event, random) if action == "time" else event | {"status": "cancelled"}


def _moved(event: dict[str, Any], random: Random) -> dict[str, Any]:
    """The event a day or some hours later or earlier."""
    if event.get("allDay"):
        shift = timedelta(days=random.choice((-1, 1)))
        return event | {key: (date.fromisoformat(event[key]) + shift).isoformat() for key in ("start", "end")}
    shift = timedelta(hours=random.choice((-1, 1, 2, 24)))
    return event | {key: (datetime.fromisoformat(event[key]) + shift).isoformat() for key in ("start", "end")}


def _term(today: date) -> date:
    """The Monday on which the term around this day begins."""
    quarter = date(today.year, (today.month - 1) // 3 * 3 + 1, 1)
    start = quarter - timedelta(weeks=WEEKS_BEFORE_QUARTER)
    return start - timedelta(days=start.weekday())


def _room(random: Random) -> str:
    return f"{random.choice(BUILDINGS)} {random.randint(0, 4)}.{random.randint(1, 40):02d}"


def _course(number: int, first: date) -> list[list[dict[str, Any]]]:
    """The events of a course for each of its groups: lectures together, tutorials and labs apart."""
    random = Random(f"course {number}")  # noqa: S311 - reproducible, not secret
    subject, zone = SUBJECTS[number % len(SUBJECTS)]
    days = random.sample(range(5), 3)

    def meetings(kind: str, weeks: range, day: int, group: int | None) -> list[dict[str, Any]]:
        hour, room = random.choice(HOURS), _room(random)
        suffix = "" if group is None else f", group {group + 1}"
        code = f"{kind[:3].lower()}{'' if group is None else group + 1}"
        return [
            _meeting(
                uid=f"c{number:03d}-{code}-w{week:02d}@campus.example",
                title=f"{subject}: {kind}{suffix}",
                start=datetime.combine(first + timedelta(weeks=week, days=day), time(hour)),
                zone=zone,
                location=room,
                category=kind,
                course=number,
                week=week,
            )
            for week in weeks
            if week != BREAK_WEEK
        ]

    lectures = meetings("Lecture", LECTURES, days[0], None)
    return [
        lectures + meetings("Tutorial", TUTORIALS, days[1], group) + meetings("Lab", LABS, days[2], group)
        for group in range(GROUPS)
    ]


def _meeting(
    *, uid: str, title: str, start: datetime, zone: str, location: str, category: str, course: int, week: int
) -> dict[str, Any]:
    length = timedelta(hours=3, minutes=45) if category == "Lab" else timedelta(hours=1, minutes=45)
    return {
        "uid": uid,
        "title": title,
        "start": start.isoformat(),
        "end": (start + length).isoformat(),
        "timeZone": zone,
        "location": location,
        "description": f"Week {week + 1}.\nRead chapter {week % 12 + 1} beforehand.",
        "categories": [category],
        "url": f"https://campus.example/courses/c{course:03d}",
    }


def _own(username: str, first: date, random: Random) -> list[dict[str, Any]]:
    """What only this person has: all-day events, and a talk that is not settled yet."""
    exams = first + timedelta(weeks=WEEKS - 1)
    talk = datetime.combine(
        first + timedelta(weeks=random.randrange(6, 18), days=random.randrange(5)), time(16)
    )
    return [
        {
            "uid": f"{username}-exams@campus.example",
            "title": "Exam week",
            "start": exams.isoformat(),
            "end": (exams + timedelta(days=5)).isoformat(),
            "timeZone": "Europe/Amsterdam",
            "allDay": True,
            "showAs": "free",
        },
        {
            "uid": f"{username}-talk@campus.example",
            "title": "Talk with the study adviser",
            "start": talk.isoformat(),
            "end": (talk + timedelta(minutes=30)).isoformat(),
            "timeZone": "Europe/Amsterdam",
            "location": _room(random),
            "status": "tentative",
        },
    ]
