"""Workers that stand still until their leases are over, and go on when others have taken over."""

import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from tests.crashes.campaign import Campaign, open_campaign
from tests.crashes.compare import compare
from tests.crashes.steps import Sentence

LEASE_SECONDS = 5
PAUSED = 12
ALWAYS = (
    "HTTP request: before",
    "commit of ledger.send: after",
    "commit of ledger.send: before",
    "commit of mailboxes.claim: after",
)
"""Between these and the provider there is nothing but the worker's own look at its lease."""


def before_or_after(step: str) -> bool:
    """Whether no request is on its way at this step: what has been sent, nobody can take back."""
    return not step.endswith(": under way")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("type", ["ews", "o365", "googlecalendar"])
async def test_a_worker_that_stood_still_past_its_lease_writes_nothing(
    database: str, tmp_path: Path, type: str
) -> None:
    async with AsyncExitStack() as stack:
        campaign: Campaign = await stack.enter_async_context(open_campaign(type, database, tmp_path, seed=1))
        random = Random(7)
        people = [campaign.people(f"s{number}", random, 1) for number in range(PAUSED + 1)]
        for some in people:
            await some.begin()
        await campaign.live()
        # What a worker passes each time that it creates, updates and deletes.
        seen = []
        for _ in range(2):
            await people[-1].change_all()
            seen.append({step for step in await campaign.live() if before_or_after(step)})
        steps = sorted(set.intersection(*seen) - {*ALWAYS})
        chosen = [*ALWAYS, *random.sample(steps, PAUSED - len(ALWAYS))]

        stopped = []
        for some, step in zip(people, chosen, strict=False):
            await some.change_all()
            sentence = Sentence(end="stop", only=frozenset({step}))
            stopped.append(await campaign.stop(sentence, LEASE_SECONDS))
        await campaign.live_until_all_is_done()
        wrote = await campaign.writes()
        assert wrote > 0

        for process, _ in stopped:
            assert process.pid is not None
            os.kill(process.pid, signal.SIGCONT)
        for process, log in stopped:
            await campaign.end(process, log, killed=False)
        assert await campaign.writes() == wrote
        await campaign.live()
        for some in people:
            verdict = await compare(some, type, campaign.pool, campaign.control)
            assert verdict.problems == []
