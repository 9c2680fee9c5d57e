"""Workers killed at every step. For more of it, by hand: ``python -m tests.crashes``."""

from pathlib import Path

import pytest

from tests.crashes.campaign import open_campaign

KILLS = 500
"""At the least: there are more until one was at each step to which workers came often enough."""


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("type", ["ews", "o365", "googlecalendar"])
async def test_whenever_a_worker_is_killed_nothing_is_lost_twice_or_touched(
    database: str, tmp_path: Path, type: str
) -> None:
    async with open_campaign(type, database, tmp_path, seed=1) as campaign:
        result = await campaign.run(KILLS)
    assert result.verdict.problems == []
    assert result.missed == set(), "nobody was killed at these steps"
    assert result.kills.total() >= KILLS
    assert result.paused > 0
    assert result.verdict.events > 0
