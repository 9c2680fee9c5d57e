"""A page with very many records does not keep the process from everything else."""

import asyncio
from typing import Any

import msgspec
import pytest

from app.sources.client import Client
from app.sources.contract import Account, Context, Integration
from app.sources.fetch import Answer, Request
from app.sources.integrations.http_json import HttpJson
from app.sources.integrations.mytimetable import MyTimetable
from app.sources.slices import TURN
from tests.sources.integrations.reading import Reading, account, records

COUNT = 10 * TURN
EVENT = {"uid": "id", "title": "id", "start": "startDate", "end": "endDate"}
RESOURCE = {"path": "/", "event": EVENT, "times": "epoch_milliseconds"}


class Answers(Client):
    """Answers at once: nothing is waited for."""

    def __init__(self) -> None:
        times = {"startDate": 1788246000000, "endDate": 1788252300000}
        elements = [{"id": str(number), "activityDescription": "x", **times} for number in range(COUNT)]
        self.answer = Answer(status=200, headers={}, body=msgspec.json.encode(elements), url="")

    async def get(self, request: Request, context: Context) -> Answer:
        return self.answer


@pytest.mark.parametrize(
    ("integration", "connection"),
    [
        (MyTimetable(Answers(), 1, COUNT), account("http://x", api_token="t")),
        (HttpJson(Answers(), 1, COUNT), account("http://x", {"resources": {"timetable": RESOURCE}})),
    ],
    ids=["mytimetable", "http-json"],
)
async def test_others_have_their_turn_while_a_long_page_is_mapped(
    run: Reading, integration: Integration, connection: Account
) -> None:
    turns: list[Any] = []

    async def others() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    pages = await run.pages(integration, connection, "timetable", "list", "ada")
    task.cancel()
    assert len(records(pages)) == COUNT
    assert len(turns) >= COUNT / TURN
