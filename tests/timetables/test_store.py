"""What a publication does to the stored timetable, and what it may not do."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec
import pytest

from app.config import TimetableSettings
from app.database.types import Pool
from app.errors import Conflict, Invalid, NotFound, PreconditionFailed
from app.timetables.event import content_hash
from app.timetables.store import Counts, Held, fetch, patch, replace, replace_many
from providers.contract import Event
from tests.timetables.conftest import DAY, lecture

Future = Callable[[int], list[Event]]
Wakes = Callable[[], Awaitable[int]]


async def test_a_publication_counts_what_it_changed(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future
) -> None:
    first = await replace(pool, alice, future(4), limits, now)
    assert first == Counts(revision=1, events=4, created=4, updated=0, deleted=0, unchanged=0)
    kept, changed, _, gone = future(4)
    second = await replace(
        pool,
        alice,
        [kept, msgspec.structs.replace(changed, title="new"), lecture("new", now + DAY)],
        limits,
        now,
    )
    assert second == Counts(revision=2, events=3, created=1, updated=1, deleted=2, unchanged=1)
    stored = await fetch(pool, alice)
    assert stored.revision == 2
    assert {event.uid: event.title for event in stored.events} == {
        "f000": "f000",
        "f001": "new",
        "new": "new",
    }
    assert gone not in stored.events


async def test_the_row_of_an_event_says_what_the_worker_compares(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime
) -> None:
    event = lecture("a", now, status="cancelled")
    await replace(pool, alice, [event], limits, now)
    row = await pool.fetchrow("SELECT * FROM timetable_events")
    assert row is not None
    assert (row["starts_at"], row["ends_at"], row["cancelled"]) == (event.start, event.end, True)
    assert row["content_hash"] == content_hash(event)


async def test_publishing_the_same_again_changes_nothing_and_wakes_nobody(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future, wakes: Wakes
) -> None:
    await replace(pool, alice, future(2), limits, now)
    assert await wakes() == 1
    counts = await replace(pool, alice, future(2), limits, now)
    assert counts == Counts(revision=1, events=2, created=0, updated=0, deleted=0, unchanged=2)
    assert await wakes() == 1


async def test_an_empty_timetable_is_a_first_one(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, wakes: Wakes
) -> None:
    assert (await fetch(pool, alice)).revision == 0
    assert (await replace(pool, alice, [], limits, now)).revision == 1
    assert (await replace(pool, alice, [], limits, now)).revision == 1
    assert await wakes() == 1


async def test_a_refused_publication_changes_nothing_and_wakes_nobody(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future, wakes: Wakes
) -> None:
    await replace(pool, alice, future(50), limits, now)
    with pytest.raises(Conflict) as caught:
        await replace(pool, alice, [lecture("other", now)], limits, now)
    assert caught.value.code == "mass_removal"
    assert "50 of 50" in caught.value.message
    assert (await fetch(pool, alice)).events == future(50)
    assert await wakes() == 1


@pytest.mark.parametrize(
    ("before", "after", "held"),
    [
        (50, 25, False),  # half is not more than half
        (50, 24, True),
        (20, 0, False),  # 20 is not more than 20
        (21, 0, True),
    ],
)
async def test_removing_more_than_half_and_more_than_20_needs_a_confirmation(
    pool: Pool,
    alice: str,
    limits: TimetableSettings,
    now: datetime,
    future: Future,
    before: int,
    after: int,
    held: bool,
) -> None:
    await replace(pool, alice, future(before), limits, now)
    if held:
        with pytest.raises(Conflict):
            await replace(pool, alice, future(after), limits, now)
    confirmed = await replace(pool, alice, future(after), limits, now, confirm=held)
    assert confirmed.events == after


async def test_both_figures_of_the_guard_are_configurable(
    pool: Pool, alice: str, now: datetime, future: Future
) -> None:
    strict = TimetableSettings(guard_share=0.1, guard_events=1)
    await replace(pool, alice, future(10), strict, now)
    assert (await replace(pool, alice, future(9), strict, now)).deleted == 1
    with pytest.raises(Conflict):
        await replace(pool, alice, future(7), strict, now)


async def test_what_is_past_may_go_unconfirmed(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future
) -> None:
    await replace(pool, alice, future(50), limits, now)
    later = now + DAY * 50  # the last one starts at this very moment: it is not future any more
    assert (await replace(pool, alice, [], limits, later)).deleted == 50


async def test_cancelling_counts_as_removing_and_only_once(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future
) -> None:
    cancelled = [msgspec.structs.replace(event, status="cancelled") for event in future(30)]
    await replace(pool, alice, future(30), limits, now)
    with pytest.raises(Conflict):
        await replace(pool, alice, cancelled, limits, now)
    await replace(pool, alice, cancelled, limits, now, confirm=True)
    assert (await replace(pool, alice, [], limits, now)).deleted == 30


async def test_moving_events_is_not_removing_them(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future
) -> None:
    await replace(pool, alice, future(30), limits, now)
    moved = [lecture(event.uid, event.start + DAY) for event in future(30)]
    assert (await replace(pool, alice, moved, limits, now)).updated == 30


async def test_a_patch_puts_in_and_takes_out_and_leaves_the_rest(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future
) -> None:
    await replace(pool, alice, future(3), limits, now)
    upsert = [msgspec.structs.replace(future(1)[0], title="new"), lecture("n", now)]
    counts = await patch(pool, alice, upsert, ["f001", "unknown"], limits, now)
    assert counts == Counts(revision=2, events=3, created=1, updated=1, deleted=1, unchanged=1)
    assert [event.uid for event in (await fetch(pool, alice)).events] == ["n", "f000", "f002"]


async def test_an_empty_patch_leaves_everything(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future
) -> None:
    await replace(pool, alice, future(3), limits, now)
    counts = await patch(pool, alice, [], [], limits, now)
    assert counts == Counts(revision=1, events=3, created=0, updated=0, deleted=0, unchanged=3)


async def test_the_guard_holds_for_a_patch_too(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future
) -> None:
    await replace(pool, alice, future(30), limits, now)
    uids = [event.uid for event in future(30)]
    with pytest.raises(Conflict):
        await patch(pool, alice, [], uids, limits, now)
    assert (await patch(pool, alice, [], uids, limits, now, confirm=True)).deleted == 30


async def test_a_patch_cannot_make_a_timetable_too_large(
    pool: Pool, alice: str, now: datetime, future: Future
) -> None:
    small = TimetableSettings(max_events=3)
    await replace(pool, alice, future(3), small, now)
    with pytest.raises(Invalid) as caught:
        await patch(pool, alice, [lecture("n", now)], [], small, now)
    assert caught.value.code == "too_many_events"
    assert len((await fetch(pool, alice)).events) == 3
    assert (await patch(pool, alice, [lecture("n", now)], ["f000"], small, now)).events == 3


async def test_only_the_expected_revision_is_replaced(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future
) -> None:
    await replace(pool, alice, future(1), limits, now, expected=frozenset({0}))
    with pytest.raises(PreconditionFailed):
        await replace(pool, alice, future(2), limits, now, expected=frozenset({0}))
    assert (await replace(pool, alice, future(2), limits, now, expected=frozenset({1}))).revision == 2


@pytest.mark.parametrize("username", ["nobody", "", "nul\0", "\udcff"])
async def test_an_unknown_user_is_not_found(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, username: str
) -> None:
    with pytest.raises(NotFound):
        await replace(pool, username, [], limits, now)
    with pytest.raises(NotFound):
        await fetch(pool, username)


async def test_of_two_publications_at_once_with_one_expectation_one_wins(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future
) -> None:
    results = await asyncio.gather(
        *(replace(pool, alice, future(n), limits, now, expected=frozenset({0})) for n in range(1, 6)),
        return_exceptions=True,
    )
    winners = [result for result in results if isinstance(result, Counts)]
    assert len(winners) == 1
    assert sum(isinstance(result, PreconditionFailed) for result in results) == 4
    assert len((await fetch(pool, alice)).events) == winners[0].events


async def test_publications_at_once_do_not_mix(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime
) -> None:
    timetables = [[lecture(f"{n}-{i}", now) for i in range(20)] for n in range(8)]
    await asyncio.gather(*(replace(pool, alice, events, limits, now) for events in timetables))
    uids = {event.uid.partition("-")[0] for event in (await fetch(pool, alice)).events}
    assert len(uids) == 1


async def test_many_timetables_at_once_are_each_whole_or_as_they_were(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future
) -> None:
    await replace(pool, alice, future(30), limits, now)
    results = await replace_many(pool, {"alice": [], "bob": future(2), "nobody": future(1)}, limits, now)
    assert results == {
        "alice": Held(future=30, removed=30),
        "bob": Counts(revision=1, events=2, created=2, updated=0, deleted=0, unchanged=0),
    }
    assert len((await fetch(pool, alice)).events) == 30


async def test_users_are_created_on_demand(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future
) -> None:
    results = await replace_many(pool, {"carol": future(1), "alice": []}, limits, now, create_users=True)
    assert results.keys() == {"carol", "alice"}
    assert (await fetch(pool, "carol")).events == future(1)


async def test_many_publications_of_the_same_users_at_once_end(
    pool: Pool, alice: str, limits: TimetableSettings, now: datetime, future: Future, wakes: Wakes
) -> None:
    names = [f"u{number}" for number in range(20)]
    await asyncio.gather(
        *(
            replace_many(
                pool, dict.fromkeys(order, future(count)), limits, now, confirm=True, create_users=True
            )
            for count, order in enumerate([names, names[::-1]] * 4)
        )
    )
    counts = {len((await fetch(pool, name)).events) for name in names}
    assert len(counts) == 1  # each publication took all of them, one after the other
