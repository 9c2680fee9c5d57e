"""The master categories of mailboxes: which colours their owners see for which categories.

https://learn.microsoft.com/graph/api/resources/outlookcategory. They take the application permission
MailboxSettings.ReadWrite, which nothing else here needs.
"""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import structlog

from providers.colours import NO_COLOUR, Wish, wishes
from providers.contract import (
    Clock,
    Gone,
    Operation,
    Outcome,
    Permit,
    ProviderError,
    Refused,
    Throttled,
    Unknown,
)
from providers.o365 import outcomes
from providers.o365.events import user_path
from providers.o365.http import Graph
from providers.o365.messages import NoAnswer, Request
from providers.o365.reader import Reader

__all__ = ["Categories"]

MAILBOXES = 20_000
"""How many mailboxes' categories are remembered; a mailbox that was forgotten costs one request more."""

REST = timedelta(hours=1)
"""Where Graph refuses us the categories, they are asked for again after this time."""

PATIENCE = 3
"""So often in a row events wait for categories of which nobody knows, and then go without their colours."""

_GRANT = "Grant the application the permission MailboxSettings.ReadWrite with admin consent."
_WAIT = "Rooster looks again in an hour."

_log = structlog.get_logger()


class Categories:
    """What this process knows of the master categories of mailboxes.

    The list is read before anything is made, so that what another worker has made is not made twice.
    """

    def __init__(self, graph: Graph, reader: Reader, clock: Clock) -> None:
        self._graph = graph
        self._reader = reader
        self._clock = clock
        self._known: OrderedDict[str, dict[str, int]] = OrderedDict()
        """The numbers of colours by category, by mailbox."""
        self._resting: OrderedDict[str, datetime] = OrderedDict()
        """The mailboxes whose categories we do not get at, with the time until which they are left alone."""
        self._unclear: dict[str, int] = {}
        """How often in a row nobody knew what became of a mailbox's categories."""

    async def see_to(self, address: str, operations: Sequence[Operation], permit: Permit) -> Outcome | None:
        """Make or change the categories that the operations want: mostly nothing is left to do.

        Returns what holds up the operations too: that Graph asks to wait, our credentials, or that there is
        no such mailbox; an answer that never came does so a few times. A refusal holds nothing up: it is
        logged once a mailbox, with what to grant.
        """
        wanted = wishes(operations)
        known = self._known.get(address.casefold())
        if not wanted or self._rests(address) or (known is not None and not _changes(wanted, known)):
            return None
        try:
            await self._write(address, wanted, permit)
        except ProviderError as error:
            match error.outcome:
                case Throttled() | Refused(scope="account") | Gone(what="mailbox"):
                    return error.outcome
                case Unknown(code=code):
                    return self._look_again(address, code)
                case Refused(code=code) | Gone(code=code):
                    self._rest(address, code, _GRANT)
        except NoAnswer as error:
            return self._look_again(address, error.code)
        return None

    def try_again(self, address: str) -> None:
        """The whole mailbox is closed to us: that its categories were refused means no more than that."""
        if address.casefold() in self._resting:
            self._resting[address.casefold()] = self._clock()

    async def _write(self, address: str, wanted: Sequence[Wish], permit: Permit) -> None:
        found = await self._read(address)
        known = {name: number for name, (_, number) in found.items()}
        for name, number in _changes(wanted, known).items():
            color = "none" if number == NO_COLOUR else f"preset{number}"
            there = found.get(name.casefold())
            if there is None:
                await self._send("POST", _path(address), {"displayName": name, "color": color}, permit)
            else:
                await self._send("PATCH", _path(address, there[0]), {"color": color}, permit)
            known[name.casefold()] = number
        self._unclear.pop(address.casefold(), None)
        self._known[address.casefold()] = known
        self._known.move_to_end(address.casefold())
        if len(self._known) > MAILBOXES:
            self._known.popitem(last=False)

    async def _read(self, address: str) -> dict[str, tuple[str, int]]:
        """The id and the colour's number of each category, by its name without case."""
        first = await self._reader.read(Request(method="GET", path=_path(address)))
        items = [item async for item in self._reader.items(first)]
        try:
            return {each["displayName"].casefold(): (each["id"], _number(each["color"])) for each in items}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NoAnswer("unreadable_categories") from error

    async def _send(self, method: str, path: str, body: dict[str, Any], permit: Permit) -> None:
        """Write one. Raises ``NoAnswer``, and ``ProviderError`` for any other answer than a success."""
        answer = await self._graph.send(Request(method=method, path=path, body=body), permit)
        if answer.status in (200, 201):
            return
        failure = outcomes.of_event_read(answer, self._clock())
        if failure is None or answer.status == 409 or _no_such_category(failure):
            # Somebody else was at the list between our looking and our writing.
            raise NoAnswer("categories_changed_meanwhile")
        raise ProviderError(failure)

    def _look_again(self, address: str, code: str) -> Outcome | None:
        """Nobody knows what the list holds: it has to be read before anything that wants a category."""
        key = address.casefold()
        self._known.pop(key, None)
        self._unclear[key] = self._unclear.get(key, 0) + 1
        if self._unclear[key] < PATIENCE:
            return Throttled(until=self._clock(), scope="mailbox", code="not_sent")
        del self._unclear[key]
        self._rest(address, code, _WAIT)
        return None

    def _rests(self, address: str) -> bool:
        until = self._resting.get(address.casefold())
        return until is not None and self._clock() < until

    def _rest(self, address: str, code: str, advice: str) -> None:
        if address.casefold() not in self._resting:
            advice = f"Categories there have no colours of ours. {advice}"
            _log.warning("categories_out_of_reach", mailbox=address, code=code, advice=advice)
        self._resting[address.casefold()] = self._clock() + REST
        if len(self._resting) > MAILBOXES:
            self._resting.popitem(last=False)


def _changes(wanted: Sequence[Wish], known: dict[str, int]) -> dict[str, int]:
    """The numbers that categories are to get."""
    changes = {wish.name: wish.change(known.get(wish.name.casefold())) for wish in wanted}
    return {name: number for name, number in changes.items() if number is not None}


def _no_such_category(failure: Outcome) -> bool:
    return isinstance(failure, Gone) and failure.what == "event"


def _path(address: str, id: str | None = None) -> str:
    one = "" if id is None else f"/{quote(id, safe='')}"
    return f"{user_path(address)}/outlook/masterCategories{one}"


def _number(color: str) -> int:
    return NO_COLOUR if color.casefold() == "none" else int(color.casefold().removeprefix("preset"))
