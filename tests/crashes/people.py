"""A few people with their mailboxes: what they and the frontend do, and what has to come of it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec

from app.clock import Clock
from app.config import Config
from app.database.queries import query
from app.database.types import Pool
from app.provisioning.provision import provision
from app.provisioning.unlink import Mode, unlink_one
from app.sync.wake import wake_mailboxes
from app.timetables.store import replace
from providers.adapter import Adapter
from providers.contract import Event
from tests.contract.harness import Control

__all__ = ["PEOPLE", "Link", "People"]

MODES: tuple[Mode, ...] = ("UNLINK_ONLY", "DELETE_FUTURE_EVENTS", "DELETE_ALL_EVENTS", "CLEANUP")
PEOPLE = 2
"""Enough for one's work to go on beside another's, and for two in one mailbox."""
UIDS = 8
ROOMS = ("Room 1", "Room 2", "Room 3")

OURS = """
    SELECT l.uid, l.attempt::text AS attempt, l.remote_id, l.state, l.unlink_id, l.synchronization_id,
        l.move_attempt IS NOT NULL AS moving
    FROM ledger AS l WHERE l.synchronization_id = $1
"""
PREFER = """
    UPDATE synchronizations SET preferences = $2::text::jsonb WHERE id = $1 RETURNING mailbox_id
"""
BEING_CLEANED = """
    SELECT EXISTS (
        SELECT FROM unlinks AS u JOIN synchronizations AS s USING (mailbox_id)
        WHERE s.id = $1 AND u.mode = 'CLEANUP' AND u.done_at IS NULL
    )
"""


class Link(msgspec.Struct, kw_only=True):
    """A synchronization, as the model knows it."""

    id: int
    username: str
    address: str
    own_calendar: bool = False
    """Whether its events are to be in a calendar of their own."""
    mode: Mode | None = None
    """How it was unlinked; None: it is current."""
    at: datetime | None = None
    cleaned: bool = False
    """Whether its mailbox was cleaned up after it was unlinked."""


class People:
    """Acts for a few people, drawn from a seeded generator, and knows what should be where.

    No worker may run while they act. An event stays in the past or in the future: which side counts for one
    whose move nobody has confirmed yet is for the ledger to say.
    """

    def __init__(
        self,
        name: str,
        pool: Pool,
        adapter: Adapter,
        control: Control,
        config: Config,
        clock: Clock,
        random: Random,
        size: int,
    ) -> None:
        self.users = [f"{name}-{number}" for number in range(size)]
        self.addresses = [f"{user}@uni.example" for user in self.users]
        self.published: dict[str, dict[str, Event]] = {user: {} for user in self.users}
        self.links: list[Link] = []
        self.foreign: dict[str, dict[str, dict[str, Any]]] = {address: {} for address in self.addresses}
        """What is not ours: the people's own events and their copies, by id, as they were when made."""
        self.reminders: dict[str, dict[str, int]] = {address: {} for address in self.addresses}
        """What people have set in events of ours, by id."""
        self.must_remain: dict[str, dict[str, str]] = {address: {} for address in self.addresses}
        """What an unlinking left, and nothing has to do with since: its user, by id."""
        self._pool = pool
        self._adapter = adapter
        self._control = control
        self._config = config
        self._clock = clock
        self._random = random
        self._begun = clock()

    async def begin(self) -> None:
        """Everybody is linked, has a timetable, and an appointment of their own."""
        for user, address in zip(self.users, self.addresses, strict=True):
            await self._pool.execute(query("users.ensure"), user, self._clock())
            await self._control.make(address)
            await self._own(address)
            await self._publish(user)
            await self._link(user, address)

    async def act(self) -> str:
        """Some of them do something; says what."""
        draw = self._random
        done = []
        for _ in range(draw.randint(1, 3)):
            user = draw.choice(self.users)
            address = self.addresses[self.users.index(user)]
            current = [link for link in self.links if link.username == user and link.mode is None]
            kinds = ("publish", "unlink", "move", "own", "copy", "remind")
            match draw.choices(kinds, (10, 4, 4, 1, 2, 2))[0]:
                case "publish":
                    await self._publish(user)
                    if not current or draw.random() < 0.1:
                        await self._link(
                            user, address if draw.random() < 0.7 else draw.choice(self.addresses)
                        )
                    done.append("publish")
                case "unlink" if current:
                    mode = draw.choice(MODES)
                    await self._unlink(draw.choice(current), mode)
                    done.append(mode)
                    if draw.random() < 0.4:
                        await self._link(user, address)
                        done.append("link")
                case "move" if current:
                    await self._move(draw.choice(current))
                    done.append("move")
                case "own":
                    await self._own(address)
                    done.append("own")
                case "copy":
                    await self._copy(address)
                    done.append("copy")
                case "remind":
                    await self._remind(address)
                    done.append("remind")
        return ", ".join(done)

    async def publish_new(self) -> None:
        """Somebody who has a synchronization gets an event that they did not have."""
        user = self._random.choice(self.users)
        if not any(link.username == user and link.mode is None for link in self.links):
            await self._link(user, self.addresses[self.users.index(user)])
        await self._publish(user, anew=True)

    async def change_all(self) -> None:
        """In everybody's timetable something is new, something is changed, and something is gone."""
        for user in self.users:
            timetable = self.published[user]
            others = sorted(timetable)[1:]
            changed = {
                uid: msgspec.structs.replace(timetable[uid], location="Room 9", title=f"Changed {uid}")
                for uid in others
            }
            new = f"lecture-{UIDS + self._random.randrange(10**6)}"
            await self._replace(user, {**changed, new: self._event(new, UIDS)})

    async def _publish(self, user: str, *, anew: bool = False) -> None:
        draw = self._random
        timetable = dict(self.published[user])
        for _ in range(draw.randint(1, 5)):
            number = draw.randrange(UIDS)
            uid = f"lecture-{number}"
            if uid in timetable and draw.random() < 0.35 and len(timetable) > 3:
                del timetable[uid]
            else:
                timetable[uid] = self._event(uid, number)
        while len(timetable) < 4:
            number = draw.randrange(UIDS)
            timetable[f"lecture-{number}"] = self._event(f"lecture-{number}", number)
        if anew:
            uid = f"lecture-{UIDS + draw.randrange(10**6)}"
            timetable[uid] = self._event(uid, UIDS)
        await self._replace(user, timetable)

    async def _replace(self, user: str, timetable: dict[str, Event]) -> None:
        await replace(
            self._pool, user, list(timetable.values()), self._config.timetables, self._clock(), confirm=True
        )
        self.published[user] = timetable

    def _event(self, uid: str, number: int) -> Event:
        days = -2 - number if number < UIDS // 2 else 2 + number
        begun = self._begun.replace(minute=0, second=0, microsecond=0)
        start = begun + timedelta(days=days, hours=self._random.randrange(8))
        return Event(
            uid=uid,
            title=f"Lecture {number}",
            start=start,
            end=start + timedelta(hours=1),
            time_zone="Europe/Amsterdam",
            location=self._random.choice(ROOMS),
            categories=("Lecture",) if self._random.random() < 0.5 else (),
            description=self._random.choice(("", "Bring your laptop.")),
        )

    async def _link(self, user: str, address: str) -> None:
        made = await provision(
            self._pool,
            {self._adapter.type: self._adapter},
            self._clock,
            username=user,
            type=self._adapter.type,
            address=address,
            probe_seconds=20,
        )
        if all(link.id != made.id for link in self.links):
            self.links.append(Link(id=made.id, username=user, address=address))
        # Their synchronizations have inherited what is set for their user, and here nothing is: set it anew.
        for link in self.links:
            if link.username == user and link.mode is None and link.own_calendar:
                await self._prefer(link)
        # What the user's earlier synchronizations left there may become this one's.
        remains = self.must_remain[address]
        self.must_remain[address] = {id: owner for id, owner in remains.items() if owner != user}

    async def _unlink(self, link: Link, mode: Mode) -> None:
        held = await self._events(link.address)
        rows = await self._pool.fetch(OURS, link.id)
        being_cleaned = await self._pool.fetchval(BEING_CLEANED, link.id)
        link.at = self._clock()
        await unlink_one(self._pool, link.id, mode, lambda: link.at or self._clock())
        link.mode = mode
        if mode == "CLEANUP":
            self.must_remain[link.address] = {}
            for other in self.links:
                if other.address == link.address and other.mode is not None:
                    other.cleaned = True
        if mode in ("CLEANUP", "DELETE_ALL_EVENTS") or being_cleaned:
            return
        by_attempt = {
            event["marker"]["attempt"].replace("-", ""): id
            for id, event in held.items()
            if id not in self.foreign[link.address] and event["marker"]
        }
        wanted = self.published[link.username]
        for row in rows:
            id = row["remote_id"] or by_attempt.get(row["attempt"].replace("-", ""))
            event = wanted.get(row["uid"])
            if id not in held or event is None or row["unlink_id"] is not None:
                continue
            if row["moving"]:  # Perhaps it has another id by now: nobody knows yet.
                continue
            if mode == "DELETE_FUTURE_EVENTS" and event.start > link.at:
                continue
            self.must_remain[link.address][id] = link.username

    async def _move(self, link: Link) -> None:
        link.own_calendar = not link.own_calendar
        await self._prefer(link)

    async def _prefer(self, link: Link) -> None:
        preferences = {"calendar.name": "Timetable"} if link.own_calendar else {}
        async with self._pool.acquire() as connection:
            text = msgspec.json.encode(preferences).decode()
            mailbox = await connection.fetchval(PREFER, link.id, text)
            await wake_mailboxes(connection, [mailbox], self._clock())

    async def _own(self, address: str) -> None:
        start = self._begun.replace(microsecond=0) + timedelta(hours=self._random.randrange(-300, 300))
        made = await self._control.person_adds(
            address, start=start.isoformat(), end=(start + timedelta(hours=1)).isoformat()
        )
        await self._remember(address, made["id"])

    async def _copy(self, address: str) -> None:
        ours = [id for id in await self._events(address) if id not in self.foreign[address]]
        if ours:
            made = await self._control.person_copies(address, self._random.choice(sorted(ours)))
            await self._remember(address, made["id"])

    async def _remember(self, address: str, id: str) -> None:
        self.foreign[address][id] = (await self._events(address))[id]

    async def _remind(self, address: str) -> None:
        ours = [id for id in await self._events(address) if id not in self.foreign[address]]
        if ours:
            id = self._random.choice(sorted(ours))
            minutes = self._random.choice((5, 20, 45))
            await self._control.person_changes(address, id, reminderMinutes=minutes)
            self.reminders[address][id] = minutes

    async def _events(self, address: str) -> Mapping[str, dict[str, Any]]:
        return {event["id"]: event for event in await self._control.events(address)}
