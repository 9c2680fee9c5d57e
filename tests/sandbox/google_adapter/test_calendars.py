"""What only the Google adapter promises of calendars; the rest is in tests/contract."""

from typing import Any

import msgspec
import pytest

from providers.adapter import Adapter
from providers.contract import Calendar, Done, Gone, ProviderError, Refused, Unknown
from providers.googlecalendar.tokens import CALENDAR_SCOPES
from providers.sandbox.google import calendars as sandbox_calendars
from providers.sandbox.state import SandboxCalendar
from tests.sandbox.google import INSTANCE, TYPE, create, lecture


@pytest.fixture
async def made(adapter, mailbox) -> Calendar:
    return await adapter.make_calendar(mailbox, INSTANCE, "Timetable")


@pytest.fixture
def there(mailbox, made):
    """The mailbox with the calendar that we made meant."""
    return msgspec.structs.replace(mailbox, calendar=made.id)


@pytest.fixture
def held(stored, made) -> SandboxCalendar:
    """The calendar that we made, as the sandbox keeps it."""
    return stored.calendars[made.id]


async def play(control: Any, **fault: object) -> None:
    await control.fault(type=TYPE, times=1, **fault)


async def listed(adapter: Adapter, mailbox: Any) -> dict[str, bool]:
    """Whether each calendar, the primary one aside, is ours."""
    return {one.id: one.ours for one in (await adapter.calendars(mailbox, INSTANCE))[1:]}


async def test_the_further_scope_is_asked_for_where_it_is_needed_and_kept(sandbox, adapter, mailbox, there):
    """By ``there``, one calendar was made."""
    assert sandbox.state.stats.requests[TYPE, "token"] == 2
    await adapter.calendars(mailbox, INSTANCE)
    await adapter.apply(there, [create(lecture())])
    await adapter.make_calendar(mailbox, INSTANCE, "Exams")
    assert sandbox.state.stats.requests[TYPE, "token"] == 2


async def test_reading_calendars_takes_no_further_scope(sandbox, adapter, mailbox):
    await adapter.calendars(mailbox, INSTANCE)
    assert sandbox.state.stats.requests[TYPE, "token"] == 1


async def test_without_the_further_scope_the_administrator_is_told_which_and_events_go_on(
    control, adapter, mailbox, stored
):
    await play(control, fault="deny", operation="token")
    with pytest.raises(ProviderError) as caught:
        await adapter.make_calendar(mailbox, INSTANCE, "Timetable")
    outcome = caught.value.outcome
    assert isinstance(outcome, Refused)
    assert outcome.scope == "mailbox"
    assert CALENDAR_SCOPES[0] in outcome.reason
    assert stored.calendars == {}
    (done,) = await adapter.apply(mailbox, [create(lecture())])
    assert isinstance(done, Done)


async def test_making_takes_two_requests_and_removing_two(sandbox, adapter, mailbox):
    made = await adapter.make_calendar(mailbox, INSTANCE, "Timetable")
    sandbox.state.stats.reset()
    await adapter.make_calendar(mailbox, INSTANCE, "Exams")
    assert sum(sandbox.state.stats.requests.values()) == 2
    sandbox.state.stats.reset()
    assert await adapter.remove_calendar(msgspec.structs.replace(mailbox, calendar=made.id), INSTANCE)
    assert sum(sandbox.state.stats.requests.values()) == 2


async def test_new_calendar_has_the_time_zone_of_the_primary_one(held):
    """Otherwise Google gives it UTC, and all-day events are busy at the wrong hours."""
    assert held.native["timeZone"] == "Europe/Amsterdam"


@pytest.mark.parametrize("fault", ["commit_then_503", "commit_then_drop", "partial"])
async def test_calendar_whose_answer_was_lost_is_found_in_the_list(control, adapter, mailbox, stored, fault):
    await play(control, fault=fault, operation="make_calendar")
    with pytest.raises(ProviderError) as caught:
        await adapter.make_calendar(mailbox, INSTANCE, "Timetable")
    assert isinstance(caught.value.outcome, Unknown)
    (_, found) = await adapter.calendars(mailbox, INSTANCE)
    assert (found.name, found.ours) == ("Timetable", True)
    assert list(stored.calendars) == [found.id]


@pytest.mark.parametrize("fault", ["commit_then_503", "commit_then_drop"])
async def test_removal_whose_answer_was_lost_is_found_out_by_another(control, adapter, there, stored, fault):
    await play(control, fault=fault, operation="remove_calendar")
    with pytest.raises(ProviderError) as caught:
        await adapter.remove_calendar(there, INSTANCE)
    assert isinstance(caught.value.outcome, Unknown)
    assert await adapter.remove_calendar(there, INSTANCE) is True
    assert stored.calendars == {}


@pytest.mark.parametrize("fault", ["gone", "deny"])
async def test_a_calendar_that_google_does_not_let_us_remove_is_not_gone(
    control, adapter, there, stored, fault
):
    """Whether Google says 403 or 404 is not documented."""
    await play(control, fault=fault, operation="remove_calendar")
    with pytest.raises(ProviderError) as caught:
        await adapter.remove_calendar(there, INSTANCE)
    assert isinstance(caught.value.outcome, Refused)
    assert caught.value.outcome.scope == "mailbox"
    assert list(stored.calendars) == [there.calendar]


async def test_a_calendar_that_we_have_not_made_cannot_be_removed_whatever_its_description_says(
    adapter, there, held, stored
):
    held.native["byApp"] = False
    with pytest.raises(ProviderError) as caught:
        await adapter.remove_calendar(there, INSTANCE)
    assert isinstance(caught.value.outcome, Refused)
    assert list(stored.calendars) == [there.calendar]


async def test_a_calendar_that_a_colleague_shares_is_not_ours_to_fill(
    adapter, mailbox, made, stored, monkeypatch
):
    """It carries the mark of this instance: it was made for the colleague's events."""
    own = sandbox_calendars.entries(stored)
    shared = own[1] | {"id": "c_bob@group.calendar.google.com", "dataOwner": "bob@uni.example"}
    monkeypatch.setattr(sandbox_calendars, "entries", lambda _: [shared, *own])
    assert await listed(adapter, mailbox) == {made.id: True}


@pytest.mark.parametrize(("role", "count"), [("owner", 1), ("writer", 0)])
async def test_where_google_names_no_owner_the_role_decides(
    adapter, mailbox, made, stored, monkeypatch, role, count
):
    primary, entry = sandbox_calendars.entries(stored)
    del entry["dataOwner"]
    monkeypatch.setattr(sandbox_calendars, "entries", lambda _: [primary, entry | {"accessRole": role}])
    assert len(await listed(adapter, mailbox)) == count


@pytest.mark.parametrize(
    ("before", "after"),
    [("Mine: ", "."), ("", "\nSee <b>uni.example</b>"), ("<p>", "</p>"), ("&amp; ", " &lt;x&gt;")],
)
async def test_the_mark_is_found_within_what_the_person_writes_around_it(
    adapter, mailbox, made, held, before, after
):
    held.native["description"] = before + held.native["description"] + after
    assert (await adapter.calendars(mailbox, INSTANCE))[1] == made


async def test_a_calendar_whose_mark_the_person_took_away_is_theirs(adapter, mailbox, made, there, held):
    held.native["description"] = "Mine"
    assert await listed(adapter, mailbox) == {made.id: False}
    assert await adapter.remove_calendar(there, INSTANCE) is False


async def test_all_pages_of_the_list_are_read(adapter, mailbox, monkeypatch):
    monkeypatch.setattr("providers.googlecalendar.calendars.LARGEST_LIST", 2)
    made = [(await adapter.make_calendar(mailbox, INSTANCE, f"Timetable {n}")).id for n in range(4)]
    assert list(await listed(adapter, mailbox)) == made


async def test_a_person_without_a_primary_calendar_has_none(adapter, mailbox, monkeypatch):
    monkeypatch.setattr(sandbox_calendars, "entries", lambda _: [])
    with pytest.raises(ProviderError) as caught:
        await adapter.calendars(mailbox, INSTANCE)
    assert isinstance(caught.value.outcome, Gone)


async def test_an_empty_page_is_not_an_empty_calendar(adapter, there, stored, monkeypatch):
    """The reference of events.list: a page may hold none at all, even if there are more events."""
    pages = [{"items": [], "nextPageToken": "more"}, {"items": [{"id": "event1"}]}]
    monkeypatch.setattr("providers.sandbox.google.listing.list_events", lambda *_: pages.pop(0))
    assert await adapter.remove_calendar(there, INSTANCE) is False
    assert pages == []
    assert list(stored.calendars) == [there.calendar]
