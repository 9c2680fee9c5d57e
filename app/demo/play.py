"""The demo, step by step: provision, publish, push, change, push, unlink, and compare each time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.clock import system_clock
from app.database.queries import query
from app.demo.campus import MODES, TYPES, Person, next_edition
from app.demo.compare import Foreign, Verdict, compare
from app.demo.stage import Stage
from app.provisioning.provision import provision
from app.provisioning.unlink import parse_mode, unlink_one, unlink_user
from app.sync.worker import Worker
from app.timetables.store import replace_many
from providers.contract import Event

__all__ = ["play"]

PUBLISH_TOGETHER = 50
PROVISION_TOGETHER = 6
PATIENCE = 180.0
"""Seconds without any progress after which the demo gives up and shows where it stands."""


class Line(msgspec.Struct, frozen=True):
    """A line of the closing table."""

    step: str
    group: str
    verdict: Verdict


class Show:
    """The demo over one stage. What a person sees goes to ``console``."""

    def __init__(self, stage: Stage, people: list[Person], console: Console) -> None:
        self._stage = stage
        self._people = people
        self._console = console
        self._foreign: dict[str, Foreign] = {person.username: {} for person in people}
        self._lines: list[Line] = []

    async def play(self, changes: float) -> bool:
        """All of it. True if every mailbox was as it should be, every time."""
        worker = Worker(self._stage.pool, self._stage.adapters, self._stage.config, system_clock)
        stop = asyncio.Event()
        work = asyncio.create_task(worker.run(stop))
        try:
            await self._publish("Publishing the timetables")
            await self._provision()
            await self._push("Pushing the events")
            await self._compare_all("after the first edition")
            await self._live()
            next_edition(self._people, changes)
            await self._publish("Publishing the next edition")
            await self._push("Pushing what changed")
            await self._compare_all("after the next edition")
            await self._unlink()
        finally:
            stop.set()
            await work
        self._close()
        return not any(line.verdict.faults for line in self._lines)

    async def _publish(self, title: str) -> None:
        with self._bars() as bars:
            bar = bars.add_task(title, total=len(self._people))
            for start in range(0, len(self._people), PUBLISH_TOGETHER):
                group = self._people[start : start + PUBLISH_TOGETHER]
                await replace_many(
                    self._stage.pool,
                    {person.username: person.publish(self._stage.config) for person in group},
                    self._stage.config.timetables,
                    system_clock(),
                    confirm=True,
                    create_users=True,
                )
                bars.advance(bar, len(group))

    async def _provision(self) -> None:
        limit = asyncio.Semaphore(PROVISION_TOGETHER)
        with self._bars() as bars:
            bar = bars.add_task("Provisioning synchronizations", total=len(self._people))

            async def one(person: Person) -> None:
                async with limit:
                    # Something of the person's own is in every calendar: it has to stay as it is.
                    await self._stage.mailboxes.add(person.type, person.address, _dentist())
                    made = await provision(
                        self._stage.pool,
                        self._stage.adapters,
                        system_clock,
                        username=person.username,
                        type=person.type,
                        address=person.address,
                        probe_seconds=30,
                    )
                    person.synchronization = made.id
                    held = await self._stage.mailboxes.events(person.type, person.address)
                    self._foreign[person.username] = {
                        id: event for id, event in held.items() if event["marker"] is None
                    }
                bars.advance(bar)

            await asyncio.gather(*(one(person) for person in self._people))

    async def _push(self, title: str) -> None:
        """Watch the worker until all synchronizations are up to date."""
        totals = {
            type: sum(len(person.events) for person in self._people if person.type == type) for type in TYPES
        }

        async def state() -> dict[str, int]:
            rows = await self._stage.pool.fetch(query("demo.progress"))
            return {row["type"]: row["present"] for row in rows}

        await self._watch(title, totals, state)

    async def _unlink(self) -> None:
        """Everybody is unlinked, in one of the four ways."""
        expected: dict[str, dict[str, Event]] = {}
        left = [person for person in self._people if person.mode == "CLEANUP"]
        for person in left:
            # First only unlinked: the clean-up has to find what was left behind.
            mode = parse_mode("UNLINK_ONLY")
            await unlink_one(self._stage.pool, person.synchronization, mode, system_clock)
        for person in self._people:
            mode = parse_mode(person.mode)
            before = system_clock()
            if person.mode == "CLEANUP":
                await unlink_user(self._stage.pool, person.username, mode, system_clock)
            else:
                await unlink_one(self._stage.pool, person.synchronization, mode, system_clock)
            expected[person.username] = _left_by(person, before)
        totals = {
            type: sum(
                len(person.events) - len(expected[person.username])
                for person in self._people
                if person.type == type
            )
            for type in TYPES
        }

        async def state() -> dict[str, int]:
            rows = await self._stage.pool.fetch(query("demo.left_to_remove"))
            left = {row["type"]: row["events"] for row in rows}
            return {type: total - left.get(type, 0) for type, total in totals.items()}

        await self._watch("Taking events out", totals, state)
        for mode_name in MODES:
            people = [person for person in self._people if person.mode == mode_name]
            if people:
                verdict = await compare(self._stage, people, expected, self._foreign)
                self._lines.append(Line("after unlinking", mode_name, verdict))

    async def _compare_all(self, step: str) -> None:
        for type in TYPES:
            people = [person for person in self._people if person.type == type]
            if people:
                expected = {person.username: person.events for person in people}
                verdict = await compare(self._stage, people, expected, self._foreign)
                self._lines.append(Line(step, type, verdict))

    async def _live(self) -> None:
        """Everybody copies an event that was pushed: the copy is theirs from now on."""
        for person in self._people:
            held = await self._stage.mailboxes.events(person.type, person.address)
            pushed = [id for id in held if id not in self._foreign[person.username]]
            if not pushed:
                continue
            await self._stage.mailboxes.add(person.type, person.address, {"copyOf": pushed[0]})
            after = await self._stage.mailboxes.events(person.type, person.address)
            copies = {id: event for id, event in after.items() if id not in held}
            self._foreign[person.username] |= copies

    async def _watch(
        self, title: str, totals: dict[str, int], state: Callable[[], Awaitable[dict[str, int]]]
    ) -> None:
        """Show how far the worker is, until nothing is left to do."""
        with self._bars() as bars:
            self._console.print(f"[bold]{title}[/bold]")
            tasks = {type: bars.add_task(f"  {type}", total=total) for type, total in totals.items()}
            seen: dict[str, int] = {}
            moved = time.monotonic()
            while True:
                begun = time.monotonic()
                busy: bool = await self._stage.pool.fetchval(query("demo.busy"), system_clock())
                now = await state()
                for type, task in tasks.items():
                    bars.update(task, completed=min(now.get(type, 0), totals[type]))
                if not busy:
                    return
                if now != seen:
                    seen, moved = now, time.monotonic()
                elif time.monotonic() - moved > PATIENCE:
                    self._console.print("[red]Nothing moves any more; this is where it stands.[/red]")
                    return
                # Looking must not slow down what is looked at.
                await asyncio.sleep(max(0.2, 5 * (time.monotonic() - begun)))

    def _bars(self) -> Progress:
        return Progress(
            TextColumn("{task.description:<30}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )

    def _close(self) -> None:
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("What the mailboxes hold", no_wrap=True)
        for heading in ("people", "events", "missing", "extra", "differ", "ledger", "foreign"):
            table.add_column(heading, justify="right", no_wrap=True)
        step = None
        for line in self._lines:
            if line.step != step:
                table.add_row(f"[bold]{line.step}[/bold]")
                step = line.step
            verdict = line.verdict
            faults = (
                verdict.missing,
                verdict.unexpected,
                verdict.different,
                verdict.unrecorded,
                verdict.touched,
            )
            table.add_row(
                f"  {line.group}",
                f"{verdict.people:,}",
                f"{verdict.events:,}",
                *(f"[red]{count:,}[/red]" if count else "[green]0[/green]" for count in faults),
            )
        self._console.print()
        self._console.print(table)
        self._console.print(
            "[dim]events: ours in the mailboxes. missing, extra, differ: against what was published."
            " ledger: where ledger and mailbox disagree. foreign: people's own events and copies"
            " that were touched.[/dim]"
        )


def _dentist() -> dict[str, object]:
    """An event of a person's own."""
    return {
        "title": "Dentist",
        "start": "2026-03-02T09:00:00Z",
        "end": "2026-03-02T10:00:00Z",
        "timeZone": "Europe/Amsterdam",
        "description": "Bring the letter.",
        "reminderMinutes": 30,
    }


def _left_by(person: Person, accepted_at: datetime) -> dict[str, Event]:
    """What is to be left in the mailbox, by the contract's words and not by the code that does it."""
    match person.mode:
        case "UNLINK_ONLY":
            return dict(person.events)
        case "DELETE_FUTURE_EVENTS":
            return {uid: event for uid, event in person.events.items() if event.start <= accepted_at}
        case _:
            return {}


async def play(stage: Stage, people: list[Person], changes: float, console: Console) -> bool:
    """Play the demo. True if every mailbox was as it should be after every step."""
    return await Show(stage, people, console).play(changes)
