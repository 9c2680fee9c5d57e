"""Jobs that feed the same people take each other's events out in turn: and are told of it."""

from typing import Any

import pytest

from app.database.queries import query
from app.sources.contract import ReadFailed
from tests.sources.world import World, lecture, page

Pair = tuple[Any, Any]


@pytest.fixture
async def pairs(world: World) -> tuple[Pair, Pair]:
    """Two jobs, each with an account."""
    await world.add_users("alice", "bob")
    return (await world.job(), await world.account()), (await world.job(), await world.account())


async def feed(world: World, pair: Pair, *uids: str, users: tuple[str, ...] = ("alice",)) -> list[Any]:
    """Run the job: these are now the events of each of the users. Whom it takes events from by that."""
    for username in users:
        world.source.give(username, page(*(lecture(username, uid) for uid in uids)))
    return await other_feeders(world, pair, users)


async def other_feeders(world: World, pair: Pair, users: tuple[str, ...] = ("alice",)) -> list[Any]:
    run = await world.run(*pair, args={"users": list(users)})
    fence = await world.pool.fetchval("SELECT fence FROM sync_job_runs WHERE id = $1", run.id)
    return [
        tuple(row) for row in await world.pool.fetch(query("source_records.other_feeders"), run.id, fence)
    ]


async def test_what_another_job_has_put_in_since_is_noticed(world: World, pairs: tuple[Pair, Pair]) -> None:
    ours, theirs = pairs
    everybody = ("alice", "bob", "nobody")
    await feed(world, ours, "a", users=everybody)
    assert await feed(world, theirs, "x", "y", users=everybody) == []  # it may well replace ours for good
    assert await feed(world, ours, "a", users=everybody) == [(*theirs, 2, "alice")]
    assert await feed(world, theirs, "x", users=("bob",)) == [(*ours, 1, "bob")]
    assert await feed(world, ours, "a", users=("alice",)) == []


async def test_a_job_that_another_one_has_replaced_is_not(world: World, pairs: tuple[Pair, Pair]) -> None:
    ours, theirs = pairs
    await feed(world, theirs, "x")
    for _ in range(2):
        assert await feed(world, ours, "a") == []


async def test_one_that_reads_the_same_events_is_not(world: World, pairs: tuple[Pair, Pair]) -> None:
    ours, theirs = pairs
    for pair in (ours, theirs, ours):
        assert await feed(world, pair, "a", "b") == []


async def test_one_that_has_failed_is_not(world: World, pairs: tuple[Pair, Pair]) -> None:
    ours, theirs = pairs
    await feed(world, ours, "a")
    world.source.give("alice", page(lecture("alice", "x")), ReadFailed("Cut off."))
    await world.run(*theirs, args={"users": ["alice"]}, error_handling="fail_fast")
    assert await feed(world, ours, "a") == []


async def test_where_nothing_is_taken_out_there_is_nothing_to_notice(
    world: World, pairs: tuple[Pair, Pair]
) -> None:
    """Not everything was read, so that the other job's events stay."""
    ours, theirs = pairs
    await feed(world, ours, "a")
    await feed(world, theirs, "x")
    world.source.give("alice", page(lecture("alice", "a")), ReadFailed("Cut off."))
    assert await other_feeders(world, ours) == []


ITSELF = (
    "This job with other arguments has put in other events for 1 of these users since, alice for one: they"
    " are taken out now. Each of the two undoes what the other does: let one run read all of a user's"
    " timetable."
)


async def told(world: World, pair: Pair, users: tuple[str, ...], *alices: str) -> list[str]:
    """Run the job for these users, with these as Alice's events: what its run lists as gone wrong."""
    world.source.give("alice", page(*(lecture("alice", uid) for uid in alices)))
    world.source.give("bob", page(lecture("bob", "b")))
    run = await world.run(*pair, args={"users": list(users)})
    return [error.detail for error in run.errors]


async def test_one_job_with_two_sets_of_arguments_undoes_itself(
    world: World, pairs: tuple[Pair, Pair]
) -> None:
    """As when two triggers give it different departments, in both of which somebody teaches."""
    alone, both = ("alice",), ("alice", "bob")
    assert await told(world, pairs[0], alone, "a") == []
    assert await told(world, pairs[0], both, "x") == []  # the arguments may have been changed for good
    assert await told(world, pairs[0], alone, "a") == [ITSELF]
    assert await told(world, pairs[0], alone, "a") == []
    assert await told(world, pairs[0], both, "x") == [ITSELF]


async def test_it_does_not_where_both_read_the_same(world: World, pairs: tuple[Pair, Pair]) -> None:
    for users in (("alice",), ("alice", "bob"), ("alice",), ("bob",), ("alice", "bob"), ("bob",)):
        assert await told(world, pairs[0], users, "a") == []


async def test_it_is_said_in_the_run(world: World, pairs: tuple[Pair, Pair]) -> None:
    ours, theirs = pairs
    await feed(world, ours, "a")
    await feed(world, theirs, "x")
    world.source.give("alice", page(lecture("alice", "a")))
    run = await world.run(*ours, args={"users": ["alice"]})
    assert [(error.kind, error.detail) for error in run.errors] == [
        (
            "run",
            f"Job {theirs[0]} with account {theirs[1]} has put in other events for 1 of these users since,"
            " alice for one: they are taken out now. Each of the two undoes what the other does: let one job"
            " read all of a user's timetable.",
        )
    ]
    assert (run.state, await world.uids("alice")) == ("done", ["a"])
