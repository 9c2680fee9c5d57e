"""What the contract suite knows of the providers: their names, and what the sandbox shows of them."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import aiohttp
import msgspec

from app.config import load_config
from providers import ews, googlecalendar, o365
from providers.adapter import Adapter
from providers.contract import Calendar, Clock, Create, Delete, Done, Event, Mailbox, Marker, Outcome, Update
from providers.sandbox.server import Sandbox

INSTANCE = "uni.example"

PROVIDERS: dict[str, Callable[[Any, Clock], Awaitable[Adapter]]] = {
    "ews": ews.connect,
    "o365": o365.connect,
    "googlecalendar": googlecalendar.connect,
}
"""The adapters that fulfil the contract. A new provider needs one line here."""

MAILS = ("mail", "invitation", "cancellation")
"""What the sandbox counts when a provider would have sent mail to people."""


async def connect(type: str, config: Path) -> Adapter:
    """An adapter as Rooster makes it, from nothing but a rooster.toml."""
    settings = getattr(load_config({"ROOSTER_CONFIG": str(config)}, config.parent).providers, type)
    return await PROVIDERS[type](settings, lambda: datetime.now(UTC))


def rewritten(sandbox: Sandbox, folder: Path, *changes: tuple[str, str]) -> Path:
    """A copy of the sandbox's rooster.toml and key files with other texts in them."""
    for file in sandbox.config.parent.glob("*"):
        text = file.read_text()
        for old, new in (*changes, (str(sandbox.config.parent), str(folder))):
            text = text.replace(old, new)
        (folder / file.name).write_text(text)
    return folder / sandbox.config.name


class Control:
    """The sandbox's control API, for one provider: what is really in a mailbox, and what goes wrong."""

    def __init__(self, client: aiohttp.ClientSession, url: str, type: str) -> None:
        self._client = client
        self._url = url
        self._type = type

    async def events(self, address: str) -> list[dict[str, Any]]:
        """What the person sees in the calendar, in the common shape."""
        answer = await self._call("GET", self._mailbox(address) + "/events")
        return list(answer["events"])

    async def event(self, address: str) -> dict[str, Any]:
        """The one event in the calendar."""
        (event,) = await self.events(address)
        return event

    async def make(self, address: str, **options: Any) -> None:
        """Make the mailbox, or change its ``aliases`` or ``access``."""
        await self._call("POST", self._mailbox(address), options)

    async def remove(self, address: str) -> None:
        """The mailbox is deleted."""
        await self._call("DELETE", self._mailbox(address))

    async def person_adds(self, address: str, **fields: Any) -> dict[str, Any]:
        """The person adds an event of their own."""
        own = {"title": "Dentist", "start": "2026-11-23T08:00:00Z", "end": "2026-11-23T09:00:00Z"}
        return await self._call("POST", self._mailbox(address) + "/events", own | fields)

    async def person_copies(self, address: str, id: str) -> dict[str, Any]:
        """The person copies an event, as their client would."""
        return await self._call("POST", self._mailbox(address) + "/events", {"copyOf": id})

    async def person_changes(self, address: str, id: str, **fields: Any) -> dict[str, Any]:
        """The person changes these fields of an event."""
        return await self._call("PATCH", self._event(address, id), fields)

    async def person_deletes(self, address: str, id: str) -> None:
        """The person deletes an event."""
        await self._call("DELETE", self._event(address, id))

    async def fault(self, fault: str, **options: Any) -> None:
        """From now on this goes wrong."""
        await self._call("POST", "/faults", {"type": self._type, "fault": fault} | options)

    async def requests(self) -> int:
        """HTTP requests to this provider since the last ``forget``, those for tokens aside."""
        counts = (await self._call("GET", "/stats"))["requests"].get(self._type, {})
        return sum(count for operation, count in counts.items() if operation != "token")

    async def mails(self) -> int:
        """How many mails the provider would have sent since the last ``forget``."""
        counts = (await self._call("GET", "/stats"))["operations"].get(self._type, {})
        return sum(count for operation, count in counts.items() if operation in MAILS)

    async def violations(self) -> list[str]:
        """Where the adapter broke the protocol since the last ``forget``."""
        return list((await self._call("GET", "/violations"))["violations"])

    async def forget(self) -> None:
        """No faults, and count from nothing."""
        for what in ("/faults", "/stats", "/violations"):
            await self._call("DELETE", what)

    async def calendars(self, address: str) -> list[dict[str, Any]]:
        """The calendars: ``id`` and ``name`` (None: the default one), ``isDefault``, ``events`` in it."""
        answer = await self._call("GET", self._mailbox(address) + "/calendars")
        return list(answer["calendars"])

    async def person_makes_calendar(self, address: str, name: str) -> dict[str, Any]:
        """The person makes a calendar of their own."""
        return await self._call("POST", self._mailbox(address) + "/calendars", {"name": name})

    async def person_renames_calendar(self, address: str, id: str, name: str) -> None:
        """The person calls a calendar by another name."""
        await self._call("PATCH", f"{self._mailbox(address)}/calendars/{quote(id, safe='')}", {"name": name})

    async def person_deletes_calendar(self, address: str, id: str) -> None:
        """The person deletes a calendar with all that is in it."""
        await self._call("DELETE", f"{self._mailbox(address)}/calendars/{quote(id, safe='')}")

    def _mailbox(self, address: str) -> str:
        return f"/mailboxes/{self._type}/{quote(address, safe='@')}"

    def _event(self, address: str, id: str) -> str:
        return f"{self._mailbox(address)}/events/{quote(id, safe='')}"

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        async with self._client.request(method, self._url + path, json=body) as response:
            text = await response.text()
            assert response.ok, f"{method} {path}: {text}"
            return dict(json.loads(text)) if text else {}


def lecture(number: int = 0, **fields: Any) -> Event:
    """An event of a timetable: an hour each, one after the other."""
    start = datetime(2026, 11, 23, 8, 0, tzinfo=UTC) + timedelta(hours=number)
    defaults = Event(
        uid=f"lecture-{number}",
        title=f"Algebra {number}",
        start=start,
        end=start + timedelta(minutes=45),
        time_zone="Europe/Amsterdam",
    )
    return msgspec.structs.replace(defaults, **fields)


def at(local: str, zone: str) -> datetime:
    """The moment of a wall clock, in UTC. ``02:30*`` is the second time that the clock shows 02:30."""
    moment = datetime.fromisoformat(local.rstrip("*"))
    return moment.replace(tzinfo=ZoneInfo(zone), fold=int(local.endswith("*"))).astimezone(UTC)


def mark(event: Event, *, instance: str = INSTANCE, attempt: UUID | None = None) -> Marker:
    """The marker of one attempt to create this event."""
    return Marker(instance=instance, synchronization=7, event=event.uid, attempt=attempt or uuid4())


def create(event: Event, **marker: Any) -> Create:
    """An attempt to create the event."""
    return Create(event=event, marker=mark(event, **marker))


def update(done: Done, created: Create, event: Event, *, whole: bool = False) -> Update:
    """The change of what was created to ``event``; ``whole`` if it may have been made already."""
    return Update(
        id=done.id,
        version=done.version,
        event=event,
        possible=(created.event, event) if whole else (created.event,),
        marker=created.marker,
    )


def delete(done: Done) -> Delete:
    """The removal of what was created."""
    return Delete(id=done.id, version=done.version)


async def put(adapter: Adapter, mailbox: Mailbox, *creates: Create) -> list[Done]:
    """Create these events, in as many steps as the adapter needs; all have to be done."""
    outcomes: list[Outcome] = []
    for start in range(0, len(creates), adapter.batch):
        outcomes += await adapter.apply(mailbox, creates[start : start + adapter.batch])
    return all_done(outcomes)


def all_done(outcomes: Sequence[Outcome]) -> list[Done]:
    """The same outcomes, all of which are Done."""
    assert [type(outcome) for outcome in outcomes] == [Done] * len(outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Done)]


def shown(event: Event) -> dict[str, Any]:
    """What a person should see of the event, in the sandbox's common shape."""
    start, end = (day.isoformat() for day in event.dates) if event.all_day else (event.start, event.end)
    return {
        "title": event.title,
        "start": start,
        "end": end,
        "allDay": event.all_day,
        "location": event.location,
        "description": event.body,
        "categories": sorted(event.categories),
        "showAs": event.show_as,
    }


def within(mailbox: Mailbox, calendar: Calendar | str | None) -> Mailbox:
    """The mailbox with this calendar meant; None: the default one."""
    id = calendar.id if isinstance(calendar, Calendar) else calendar
    return msgspec.structs.replace(mailbox, calendar=id)


def seen(common: dict[str, Any]) -> dict[str, Any]:
    """What a person sees of an event in the common shape: ``shown`` of it, if all went well."""
    fields = ("title", "start", "end", "allDay", "location", "description", "categories", "showAs")
    event = {name: common[name] for name in fields}
    event["categories"] = sorted(event["categories"])
    if not event["allDay"]:
        event |= {name: datetime.fromisoformat(event[name]) for name in ("start", "end")}
    return event
