"""The server and its embedded database, killed while they work; the same installation is started again."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.end_to_end.installation import TYPES, Installation, installation

EVENTS = 60
KILLS = 6

TODAY = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def timetable(edition: int) -> list[dict[str, Any]]:
    """Events of an hour, one a day. From one edition to the next some go, some come, some change."""
    numbers = range(edition * 5, EVENTS + edition * 5)
    return [
        {
            "uid": f"event-{number}",
            "title": f"Lecture {number}",
            "start": (TODAY + timedelta(days=number - EVENTS // 2)).isoformat(),
            "end": (TODAY + timedelta(days=number - EVENTS // 2, hours=1)).isoformat(),
            "timeZone": "Europe/Amsterdam",
            "location": f"Room {edition if number % 3 == 0 else 1}",
        }
        for number in numbers
    ]


class Scene:
    """Three people, one for each provider, each with an appointment of their own."""

    def __init__(self, rooster: Installation) -> None:
        self.rooster = rooster
        self.server: asyncio.subprocess.Process
        self.ids: dict[str, int] = {}
        self.own: dict[str, dict[str, Any]] = {}

    async def begin(self) -> None:
        # A worker that was killed is given up soon.
        with self.rooster.folder.joinpath("rooster.toml").open("a") as config:
            config.write("\n[sync]\nlease_seconds = 5\n")
        await self.start()
        own = {"title": "Dentist", "start": "2026-11-23T08:00:00Z", "end": "2026-11-23T09:00:00Z"}
        for type in TYPES:
            self.own[type] = await self.rooster.post_control(f"/mailboxes/{type}/{address(type)}/events", own)
            self.ids[type] = await self.rooster.person(type, type, timetable(0))

    async def start(self) -> None:
        """``rooster serve``, with the embedded database."""
        self.server = await self.rooster.serve()

    def postmaster(self) -> int:
        """The process id of the embedded database."""
        return int((self.rooster.folder / "data/postgres/postmaster.pid").read_text().split()[0])

    def backends(self) -> list[int]:
        """The processes of the embedded database that serve a connection or write for all."""
        command = ["ps", "-o", "pid=", "--ppid", str(self.postmaster())]
        return [int(pid) for pid in subprocess.run(command, capture_output=True, check=True).stdout.split()]

    async def publish(self, edition: int) -> None:
        """Publish, and try again as long as the answer says to: while the database recovers."""
        for type in TYPES:

            async def accepted(type: str = type) -> bool:
                url = f"{self.rooster.url}/api/v1/users/{type}/timetable?confirm=true"
                headers = {"apiToken": self.rooster.token}
                body = {"events": timetable(edition)}
                async with self.rooster.http.put(url, json=body, headers=headers) as response:
                    assert response.status in (200, 503), await response.text()
                    return response.status == 200

            await self.rooster.until(accepted)

    async def at_work(self, requests: int) -> None:
        """Until the providers have got so many more requests, or need no more."""
        before = await self.asked()

        async def enough() -> bool:
            if await self.asked() >= before + requests:
                return True
            backlogs = [
                (await self.rooster.api("GET", f"/v1/synchronizations/{id}"))["backlog"]
                for id in self.ids.values()
            ]
            return not any(backlogs)

        await self.rooster.until(enough)

    async def asked(self) -> int:
        return sum([sum((await self.rooster.requests(type)).values()) for type in TYPES])

    async def assert_true(self, edition: int) -> None:
        """Everything becomes as published: nothing lost, nothing twice, nothing of the person's touched."""
        wanted = {event["uid"]: event for event in timetable(edition)}
        for type in TYPES:
            await self.rooster.until_synced(self.ids[type])
            held = {event["id"]: event for event in await self.rooster.held(type, address(type))}
            assert held.pop(self.own[type]["id"]) == self.own[type]
            uids = Counter(event["marker"]["event"] for event in held.values())
            assert uids == Counter(list(wanted))
            for event in held.values():
                assert event["location"] == wanted[event["marker"]["event"]]["location"]
            rows = await self.rooster.ledger(self.ids[type])
            assert {row["remoteId"]: row["uid"] for row in rows} == {
                id: event["marker"]["event"] for id, event in held.items()
            }


def address(type: str) -> str:
    return f"{type}@uni.example"


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with installation(tmp_path) as rooster:
        scene = Scene(rooster)
        await scene.begin()
        yield scene


@pytest.mark.timeout(600)
async def test_a_server_that_is_killed_goes_on_when_it_is_started_again(scene: Scene) -> None:
    """And the embedded database with it, which is the server's."""
    random = Random(1)
    for edition in range(1, KILLS + 1):
        await scene.publish(edition)
        await scene.at_work(random.randint(1, 5))
        await scene.rooster.kill(scene.server)
        await scene.start()
    await scene.assert_true(KILLS)


@pytest.mark.timeout(600)
async def test_an_embedded_database_that_is_killed_loses_nothing(scene: Scene) -> None:
    random = Random(2)
    for edition in range(1, KILLS + 1):
        await scene.publish(edition)
        await scene.at_work(random.randint(1, 5))
        os.kill(scene.postmaster(), signal.SIGKILL)
        await scene.rooster.kill(scene.server)
        await scene.start()
    await scene.assert_true(KILLS)


@pytest.mark.skipif(sys.platform != "linux", reason="asks ps for the children of a process")
@pytest.mark.timeout(600)
async def test_a_server_goes_on_by_itself_when_a_process_of_its_database_is_killed(scene: Scene) -> None:
    """PostgreSQL ends all connections then, recovers, and takes new ones."""
    random = Random(3)
    for edition in range(1, KILLS + 1):
        await scene.publish(edition)
        await scene.at_work(random.randint(1, 5))
        os.kill(random.choice(scene.backends()), signal.SIGKILL)
    await scene.publish(KILLS)
    await scene.assert_true(KILLS)
