"""What a person sees of an event: every field, every zone, and nothing of theirs touched."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.adapter import Adapter
from providers.contract import Event, Mailbox, ShowAs
from tests.contract.harness import Control, all_done, at, create, lecture, put, seen, shown, update
from tests.properties import examples

ZONES = [
    "Europe/Amsterdam",
    "America/New_York",
    "Australia/Sydney",
    "America/Santiago",
    "Asia/Kolkata",
    "UTC",
]

FULL = lecture(
    title="Wiskunde",
    location="Zaal 1.02",
    description="Neem je boek mee.",
    url="https://uni.example/w",
    categories=("Lecture", "Mathematics"),
    show_as="tentative",
)


async def put_and_look(adapter: Adapter, mailbox: Mailbox, control: Control, event: Event) -> dict[str, Any]:
    await put(adapter, mailbox, create(event))
    return await control.event(mailbox.address)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"title": "", "location": "", "description": "", "url": "", "categories": ()},
        {"title": "Ålgebra für Anfänger: Ελλάδα, 数学, עברית", "location": "Zaal 1.02 <&> \"A\" 'B'"},
        {"title": "Exam 📝 👩🏽\u200d🔬", "description": "Good luck 🍀", "location": "🏛"},
        {"description": "\n".join(f"{n}. a line of the programme" for n in range(500))},
        {"description": "One\n\n\nTwo\ttabbed  and spaced\n- dash"},
        {"description": "<b>not bold</b> &amp; <script>alert(1)</script>"},
        {"url": "https://uni.example/c?a=1&b=%20#top"},
        {"description": "About it:", "url": "https://uni.example/c?a=1&b=2"},
        {"categories": ("Lecture", "Ålgebra, part 1; 📝")},
        {"show_as": "free"},
        {"show_as": "tentative"},
        {"title": "x" * 255, "location": "y" * 255},
    ],
    ids=[
        "plain",
        "empty",
        "scripts and quotes",
        "emoji",
        "500 lines",
        "white space",
        "markup",
        "url",
        "text and url",
        "categories",
        "free",
        "tentative",
        "long",
    ],
)
async def test_every_field_arrives(
    adapter: Adapter, mailbox: Mailbox, control: Control, fields: dict[str, Any]
) -> None:
    event = lecture(**fields)
    assert seen(await put_and_look(adapter, mailbox, control, event)) == shown(event)


async def test_the_event_carries_its_marker(adapter: Adapter, mailbox: Mailbox, control: Control) -> None:
    event = lecture(uid="Ålgebra/1 + 'x' \"y\" <&>; {z}")
    operation = create(event)
    await put(adapter, mailbox, operation)
    assert (await control.event(mailbox.address))["marker"] == {
        "instance": "uni.example",
        "synchronization": 7,
        "event": event.uid,
        "attempt": operation.marker.attempt.hex,
    }


CLOCK_CHANGES = {
    "Europe/Amsterdam": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Australia/Sydney": ("2026-04-05", "2026-10-04"),
    "America/Santiago": ("2026-04-04", "2026-09-06"),
    "Asia/Kolkata": ("2026-03-29", "2026-10-25"),
    "UTC": ("2026-03-29", "2026-10-25"),
}


@pytest.mark.parametrize("zone", ZONES)
async def test_times_are_right_around_a_change_of_clocks(
    adapter: Adapter, mailbox: Mailbox, control: Control, zone: str
) -> None:
    """The same wall clock on the days before, of and after each change, and a quarter past each hour."""
    events = [
        lecture(uid=f"{day}-{offset}-{hour}", start=start, end=start + timedelta(minutes=50), time_zone=zone)
        for day in CLOCK_CHANGES[zone]
        for offset in (-1, 0, 1)
        for hour in (9, 16)
        for start in [at(f"{day}T{hour:02}:15", zone) + timedelta(days=offset)]
    ]
    await put(adapter, mailbox, *(create(event) for event in events))
    found = {common["marker"]["event"]: common for common in await control.events(mailbox.address)}
    for event in events:
        assert seen(found[event.uid]) == shown(event)


@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "America/New_York"])
async def test_every_quarter_of_the_night_in_which_clocks_change(
    adapter: Adapter, mailbox: Mailbox, control: Control, zone: str
) -> None:
    """An hour that the clock shows twice is two different hours."""
    nights = [at(f"{day}T00:00", zone) for day in CLOCK_CHANGES[zone]]
    events = [
        lecture(uid=f"{start:%m%dT%H%M}", start=start, end=start + timedelta(minutes=15), time_zone=zone)
        for night in nights
        for start in (night + timedelta(minutes=15 * n) for n in range(20))
    ]
    await put(adapter, mailbox, *(create(event) for event in events))
    found = {common["marker"]["event"]: common for common in await control.events(mailbox.address)}
    for event in events:
        assert seen(found[event.uid]) == shown(event)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("day", ["2026-01-15", "2026-07-15"], ids=["January", "July"])
async def test_people_read_it_by_the_events_own_wall_clock(
    adapter: Adapter, mailbox: Mailbox, control: Control, zone: str, day: str
) -> None:
    """The provider may know the zone by another name; what counts is what its clock shows."""
    event = lecture(start=at(f"{day}T09:00", zone), end=at(f"{day}T10:00", zone), time_zone=zone)
    common = await put_and_look(adapter, mailbox, control, event)
    local = event.start.astimezone(ZoneInfo(common["timeZone"]))
    assert local.replace(tzinfo=None) == event.local_start.replace(tzinfo=None)


@pytest.mark.parametrize("zone", ["Antarctica/Troll", "Europe/Zaporozhye", "America/Argentina/San_Luis"])
async def test_a_zone_that_the_provider_may_not_know_is_at_the_right_moment(
    adapter: Adapter, mailbox: Mailbox, control: Control, zone: str
) -> None:
    event = lecture(start=at("2026-07-15T09:00", zone), end=at("2026-07-15T10:00", zone), time_zone=zone)
    assert seen(await put_and_look(adapter, mailbox, control, event)) == shown(event)


@pytest.mark.parametrize(
    ("first", "after_last", "zone"),
    [
        ("2026-06-01", "2026-06-02", "Europe/Amsterdam"),
        ("2026-06-01", "2026-06-06", "Europe/Amsterdam"),
        ("2026-10-25", "2026-10-26", "Europe/Amsterdam"),
        ("2026-03-29", "2026-03-30", "Europe/Amsterdam"),
        ("2026-03-28", "2026-03-31", "Europe/Amsterdam"),
        ("2026-10-31", "2026-11-02", "America/New_York"),
        ("2026-09-06", "2026-09-07", "America/Santiago"),
        ("2026-04-05", "2026-04-06", "Australia/Sydney"),
        ("2026-06-01", "2026-06-02", "Asia/Kolkata"),
        ("2026-12-31", "2027-01-01", "UTC"),
        ("2026-07-01", "2026-07-03", "Antarctica/Troll"),
    ],
)
async def test_an_all_day_event_is_on_its_days(
    adapter: Adapter, mailbox: Mailbox, control: Control, first: str, after_last: str, zone: str
) -> None:
    event = lecture(
        start=at(f"{first}T00:00", zone), end=at(f"{after_last}T00:00", zone), time_zone=zone, all_day=True
    )
    common = await put_and_look(adapter, mailbox, control, event)
    assert (common["allDay"], common["start"], common["end"]) == (True, first, after_last)


async def test_an_event_over_midnight_that_lasts_a_day_is_not_all_day(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    zone = "Europe/Amsterdam"
    event = lecture(start=at("2026-06-01T00:00", zone), end=at("2026-06-02T00:00", zone), time_zone=zone)
    assert seen(await put_and_look(adapter, mailbox, control, event)) == shown(event)


async def test_an_event_may_last_no_time(adapter: Adapter, mailbox: Mailbox, control: Control) -> None:
    """A deadline."""
    event = lecture(end=lecture().start)
    assert seen(await put_and_look(adapter, mailbox, control, event)) == shown(event)


async def test_an_all_day_event_without_an_end_is_on_its_first_day(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """RFC 5545 section 3.6.1: a date alone lasts for that day."""
    day = at("2026-06-01T00:00", "Europe/Amsterdam")
    common = await put_and_look(adapter, mailbox, control, lecture(start=day, end=day, all_day=True))
    assert (common["allDay"], common["start"], common["end"]) == (True, "2026-06-01", "2026-06-02")


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Moved"},
        {"title": ""},
        {"start": FULL.start + timedelta(hours=1), "end": FULL.end + timedelta(hours=1)},
        {"end": FULL.end + timedelta(hours=1)},
        {"start": FULL.start + timedelta(minutes=5)},
        {"start": FULL.start + timedelta(days=120), "end": FULL.end + timedelta(days=120)},
        {"time_zone": "America/New_York"},
        {"location": "Zaal 2.01"},
        {"location": ""},
        {"description": "Zonder boek."},
        {"description": ""},
        {"description": "", "url": ""},
        {"url": ""},
        {"categories": ("Exam",)},
        {"categories": ()},
        {"show_as": "busy"},
        {
            "all_day": True,
            "start": at("2026-11-24T00:00", "Europe/Amsterdam"),
            "end": at("2026-11-26T00:00", "Europe/Amsterdam"),
        },
    ],
    ids=lambda changes: "+".join(changes),
)
@pytest.mark.parametrize("whole", [False, True], ids=["patch", "whole"])
async def test_every_change_arrives(
    adapter: Adapter, mailbox: Mailbox, control: Control, changes: dict[str, Any], whole: bool
) -> None:
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    changed = msgspec.structs.replace(FULL, **changes)
    (updated,) = all_done(await adapter.apply(mailbox, [update(done, operation, changed, whole=whole)]))
    assert updated.id == done.id
    assert seen(await control.event(mailbox.address)) == shown(changed)


async def test_an_all_day_event_becomes_a_timed_one(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    zone = "Europe/Amsterdam"
    before = lecture(start=at("2026-06-01T00:00", zone), end=at("2026-06-03T00:00", zone), all_day=True)
    after = lecture(start=at("2026-06-01T09:00", zone), end=at("2026-06-01T10:00", zone))
    operation = create(before)
    (done,) = await put(adapter, mailbox, operation)
    all_done(await adapter.apply(mailbox, [update(done, operation, after)]))
    assert seen(await control.event(mailbox.address)) == shown(after)


async def test_an_update_leaves_alone_what_did_not_change(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """The person's reminder, and their own words in fields that the timetable left as they were."""
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    own = {
        "reminderMinutes": 45,
        "title": "Wiskunde!!",
        "description": "Mijn notities",
        "categories": ["Mijn"],
    }
    await control.person_changes(mailbox.address, done.id, **own)
    moved = msgspec.structs.replace(FULL, location="Zaal 2.01")
    all_done(await adapter.apply(mailbox, [update(done, operation, moved)]))
    common = await control.event(mailbox.address)
    assert common["location"] == "Zaal 2.01"
    assert {name: common[name] for name in own} == own


async def test_an_update_of_everything_leaves_the_persons_reminder(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, reminderMinutes=45, title="Wiskunde!!")
    all_done(await adapter.apply(mailbox, [update(done, operation, FULL, whole=True)]))
    common = await control.event(mailbox.address)
    assert common["reminderMinutes"] == 45
    assert seen(common) == shown(FULL)


async def test_an_update_keeps_the_marker(adapter: Adapter, mailbox: Mailbox, control: Control) -> None:
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    before = (await control.event(mailbox.address))["marker"]
    moved = msgspec.structs.replace(FULL, location="Zaal 2.01")
    all_done(await adapter.apply(mailbox, [update(done, operation, moved)]))
    assert (await control.event(mailbox.address))["marker"] == before


async def test_an_adopted_event_gets_the_marker_of_its_new_synchronization(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    change = update(done, operation, FULL, whole=True)
    adopted = msgspec.structs.replace(operation.marker, synchronization=8)
    all_done(await adapter.apply(mailbox, [msgspec.structs.replace(change, marker=adopted)]))
    assert (await control.event(mailbox.address))["marker"]["synchronization"] == 8


PRINTABLE = st.characters(exclude_categories=("Cc", "Cs", "Cn", "Zl", "Zp"))
MINUTES = st.integers(0, 400 * 24 * 60)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Any event that a timetable can hold."""
    zone = draw(st.sampled_from(ZONES))
    all_day = draw(st.booleans())
    if all_day:
        first = datetime(2026, 1, 1) + timedelta(days=draw(st.integers(0, 700)))  # noqa: DTZ001 - a wall clock
        last = first + timedelta(days=draw(st.integers(1, 10)))
        start, end = (day.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for day in (first, last))
    else:
        start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=draw(MINUTES))
        end = start + timedelta(minutes=draw(st.integers(1, 3 * 24 * 60)))
    line = st.text(PRINTABLE, max_size=40)
    return Event(
        uid=draw(st.text(PRINTABLE, min_size=1, max_size=40)),
        title=draw(line),
        start=start,
        end=end,
        time_zone=zone,
        all_day=all_day,
        location=draw(line),
        description="\n".join(draw(st.lists(line, max_size=5))),
        categories=tuple(
            draw(
                st.lists(
                    st.text("abcÅé📝 1", min_size=1, max_size=9).map(str.strip).filter(bool),
                    unique_by=str.casefold,
                    max_size=3,
                )
            )
        ),
        url=draw(st.sampled_from(["", "https://uni.example/?a=1&b=2#c"])),
        show_as=draw(st.sampled_from(get_args(ShowAs))),
    )


@examples(40)
@given(event=events())
async def test_whatever_the_timetable_holds_is_what_the_person_sees(
    adapter: Adapter, mailbox: Mailbox, control: Control, event: Event
) -> None:
    operation = create(event)
    (done,) = await put(adapter, mailbox, operation)
    common = await control.event(mailbox.address)
    await control.person_deletes(mailbox.address, done.id)
    assert seen(common) == shown(event)
    assert common["marker"]["event"] == event.uid
