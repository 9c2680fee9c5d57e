"""Carries out one Graph request, whether it came alone or inside a batch."""

import re
from collections.abc import Callable

import msgspec

from providers.sandbox.graph import store
from providers.sandbox.graph.calendars import Calendars
from providers.sandbox.graph.categories import Categories
from providers.sandbox.graph.delta import Delta
from providers.sandbox.graph.errors import (
    GraphError,
    access_denied,
    item_not_found,
    over_concurrency,
    sync_state_not_found,
    unavailable,
    user_not_found,
)
from providers.sandbox.graph.events import Events
from providers.sandbox.graph.limits import Limits
from providers.sandbox.graph.messages import TYPE, Answer, Call, ConnectionCut
from providers.sandbox.graph.paths import target_of
from providers.sandbox.graph.schema import Schema
from providers.sandbox.state import Fault, SandboxMailbox, State

__all__ = ["Service"]

GOES_ON = re.compile(r"(?:\$|%24)(?:delta|skip)token=", re.IGNORECASE)
"""A request that goes on from what the client knows of earlier changes."""


class Service:
    """Graph over the sandbox's mailboxes."""

    def __init__(self, state: State, base_url: Callable[[], str]) -> None:
        self._state = state
        self._limits = Limits(lambda: state.now())
        schema = Schema(state)
        self._calendars = Calendars(schema, base_url)
        self._categories = Categories(schema, base_url)
        self._events = Events(state, schema, base_url)
        self._delta = Delta(schema, base_url)

    async def serve(self, call: Call) -> Answer:
        """Carry out one request, playing a fault if there is one for it. Raises ``ConnectionCut``."""
        self._state.stats.operation(TYPE, call.operation)
        fault = self._state.faults.take(TYPE, call.operation, call.address)
        try:
            with self._limits.request(call.application, self.mailbox_key(call)):
                return await self._played(fault, call)
        except GraphError as error:
            return Answer.of(error)

    def mailbox_key(self, call: Call) -> str:
        """One name for all addresses of the mailbox that the request is for."""
        address = call.address or ""
        mailbox = self._state.mailbox(TYPE, address)
        return (address if mailbox is None else mailbox.address).casefold()

    async def _played(self, fault: Fault | None, call: Call) -> Answer:
        if fault is None:
            return self._carry_out(call)
        match fault.fault:
            case "throttle":
                raise over_concurrency(fault.retry_after)
            case "unavailable":
                raise unavailable(fault.retry_after)
            case "deny":
                raise access_denied()
            case "gone":
                raise self._gone(call, str(fault.options.get("what", "")))
            case "expired_state":
                if GOES_ON.search(call.url):
                    raise sync_state_not_found()
                return self._carry_out(call)
            case "slow":
                await self._state.sleep(float(fault.options.get("delay", 5)))
                return self._carry_out(call)
            case "commit_then_drop":
                self._committed(call)
                raise ConnectionCut
            case "commit_then_503":
                self._committed(call)
                raise unavailable(fault.retry_after)
            case "truncated":
                return msgspec.structs.replace(self._carry_out(call), truncated=True)
            case "moves_on":
                return self._then_moved_on(call, self._carry_out(call))
            case _:
                return msgspec.structs.replace(self._carry_out(call), cut=True)

    def _committed(self, call: Call) -> None:
        try:
            self._carry_out(call)
        except GraphError:
            # Nobody hears what came of it: that is the fault that is played.
            return

    def _then_moved_on(self, call: Call, answer: Answer) -> Answer:
        """What was answered of events is of an earlier version by now: Exchange itself has written since."""
        mailbox, body = self._mailbox(call), answer.body or {}
        for item in body.get("value", [body]):
            event = mailbox.events.get(store.own_id(item.get("id", "")) or "")
            if event is not None:
                store.change(mailbox, event, {}, self._state.now())
        return answer

    def _gone(self, call: Call, what: str) -> GraphError:
        """What was asked for is really away afterwards, as if the person had just deleted it.

        ``what`` says whether the event, the calendar or the mailbox; else it is what the path names. The
        default calendar and the mailbox are away for this request only.
        """
        target = target_of(call.path)
        mailbox = self._mailbox(call)
        if what in ("", "event") and target.kind == "event":
            event = mailbox.events.get(store.own_id(target.id or "") or "")
            if event is not None:
                store.remove(mailbox, event)
            return item_not_found()
        if what in ("", "calendar") and target.calendar in mailbox.calendars:
            store.remove_calendar(mailbox, target.calendar)
            return item_not_found()
        return item_not_found() if what == "calendar" else user_not_found()

    def _mailbox(self, call: Call) -> SandboxMailbox:
        address = call.address or ""
        mailbox = self._state.mailbox(TYPE, address)
        if mailbox is None:
            if (TYPE, address.casefold()) in self._state.mailboxes:
                # It was there once: the user without a licence, or moved to a server of their own.
                raise GraphError(
                    404,
                    "MailboxNotEnabledForRESTAPI",
                    "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
                )
            raise user_not_found()
        if not mailbox.access:
            raise access_denied()
        return mailbox

    def _carry_out(self, call: Call) -> Answer:
        target = target_of(call.path)
        mailbox = self._mailbox(call)
        match target.kind:
            case "categories" | "category":
                return self._categories.carry_out(call, mailbox, target)
            case "calendars":
                return self._calendars.all(call, mailbox)
            case "calendar":
                return self._calendars.one(call, mailbox, target)
            case "delta":
                return self._delta.carry_out(call, mailbox, target)
            case _:
                return self._events.carry_out(call, mailbox, target)
