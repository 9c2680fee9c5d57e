"""Carrying out operations on one calendar in as few requests as EWS allows: one for each kind."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from providers.contract import (
    Clock,
    Create,
    Delete,
    Done,
    Gone,
    Move,
    Operation,
    Outcome,
    Throttled,
    Unknown,
    Update,
)
from providers.ews.calendar import Calendar
from providers.ews.categories import wishes
from providers.ews.colours import Colours
from providers.ews.items import new_item
from providers.ews.outcomes import (
    FAILURES,
    calendar_outcome,
    is_conflict,
    item_outcome,
    no_right_to_write,
    not_sent,
    read_outcome,
    stops,
    too_much_at_once,
    write_outcome,
)
from providers.ews.reading import read_item
from providers.ews.soap import Answer
from providers.ews.updates import Change

__all__ = ["apply"]

T = TypeVar("T")


def apply(
    calendar: Calendar, operations: Sequence[Operation], clock: Clock, colours: Colours, *, delegate: bool
) -> list[Outcome]:
    """One outcome for each operation, in their order. Blocks; raises nothing for what Exchange does.

    Deletions first, then moves, updates and creates: what goes makes room, and a clash of an old and a new
    lecture is never shown. What stops one kind keeps the following ones from being sent.
    """
    return _Application(calendar, clock, colours, delegate).run(operations)


class _Application:
    """One call of ``apply``."""

    def __init__(self, calendar: Calendar, clock: Clock, colours: Colours, delegate: bool) -> None:
        self._calendar = calendar
        self._clock = clock
        self._colours = colours
        self._delegate = delegate
        self._stopped: Outcome | None = None

    def run(self, operations: Sequence[Operation]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}

        def carry_out(kind: type[T], handle: Callable[[list[T]], list[Outcome]]) -> None:
            chosen = {i: operation for i, operation in enumerate(operations) if isinstance(operation, kind)}
            if chosen:
                outcomes.update(zip(chosen, handle(list(chosen.values())), strict=True))

        carry_out(Delete, self._delete)
        carry_out(Move, self._move)
        self._colour(operations)
        carry_out(Update, self._update)
        carry_out(Create, self._create)
        return [outcomes[i] for i in range(len(operations))]

    def _colour(self, operations: Sequence[Operation]) -> None:
        """Before the events themselves, so that a run that ends here comes back to the colours."""
        if self._stopped is not None:
            return
        try:
            self._colours.see_to(self._calendar.account, operations, self._calendar.permit)
        except FAILURES as failure:
            # Nothing was done to an event, and colours may be written again: no doubt remains.
            self._stopped = not_sent(write_outcome(failure, self._clock), self._clock)

    def _delete(self, deletes: list[Delete]) -> list[Outcome]:
        outcomes = self._send(
            deletes,
            lambda some: self._calendar.delete([(delete.id, delete.version) for delete in some]),
            lambda delete, answer: item_outcome(answer, self._clock, id=delete.id),
        )
        return [
            Done(delete.id) if _event_gone(outcome) else outcome
            for delete, outcome in zip(deletes, self._make_sure(outcomes), strict=True)
        ]

    def _move(self, moves: list[Move]) -> list[Outcome]:
        """A request for each calendar that something goes into."""
        if _calendar_gone(self._stopped):
            gone = Gone(what="event", code="ErrorItemNotFound", reason="The event is gone with its calendar.")
            return [gone] * len(moves)
        outcomes: dict[str, Outcome] = {}
        for folder_id in dict.fromkeys(move.calendar for move in moves):
            some = [move for move in moves if move.calendar == folder_id]
            sent = self._send(some, partial(self._send_moves, folder_id), self._moved)
            if _calendar_gone(self._stopped):
                self._stopped = None  # The other calendar is not there: nothing that concerns the rest.
            outcomes |= zip((move.id for move in some), self._arrived(folder_id, sent), strict=True)
        return [outcomes[move.id] for move in moves]

    def _send_moves(self, folder_id: str | None, moves: Sequence[Move]) -> list[Answer]:
        return self._calendar.move([move.id for move in moves], folder_id)

    def _moved(self, _: Move, answer: Answer) -> Outcome:
        outcome = item_outcome(answer, self._clock)
        # What else is in the item by now, its new version does not tell.
        return Done(outcome.id) if isinstance(outcome, Done) else outcome

    def _arrived(self, folder_id: str | None, outcomes: list[Outcome]) -> list[Outcome]:
        """The outcomes, where "not found" is about the events only if the calendar for them is there.

        A calendar that they are not in any more because it is gone itself is not what is missing.
        """
        if not any(map(_event_gone, outcomes)) or self._stopped is not None:
            return self._make_sure(outcomes)
        verdict = self._closed(self._calendar.other(folder_id), delegate=False)
        if _calendar_gone(verdict):
            self._stopped = None
        elif verdict is None:
            verdict = self._closed(self._calendar, delegate=self._delegate)
            if _calendar_gone(verdict):
                return outcomes
        return [verdict if verdict and _event_gone(outcome) else outcome for outcome in outcomes]

    def _update(self, updates: list[Update]) -> list[Outcome]:
        changes = [Change(update) for update in updates]
        outcomes: list[Outcome] = [
            Done(update.id, update.version)
            if self._stopped is None or not wishes([update])
            else not_sent(self._stopped, self._clock)  # the colours are what it changes
            for update in updates
        ]
        todo = [i for i, change in enumerate(changes) if change.must_read or change.fields]
        for _ in range(2):
            for i, outcome in zip(todo, self._change([changes[i] for i in todo]), strict=True):
                outcomes[i] = outcome
            # Nothing was changed by these, so once more is safe, with what is there at this moment.
            todo = [i for i in todo if is_conflict(outcomes[i])]
            for i in todo:
                changes[i].conflict()
        return self._make_sure(outcomes)

    def _change(self, changes: list[Change]) -> list[Outcome]:
        """Read those that must be read, then write each kind in one request."""
        outcomes: dict[str, Outcome] = {}
        unread = [change for change in changes if change.must_read]
        for change, answer in zip(unread, self._read(unread), strict=True):
            if not isinstance(answer, Done):
                outcomes[change.id] = answer
            elif not change.fields:
                outcomes[change.id] = change.done(answer.id, answer.version)
        for overwrite in (False, True):
            ready = [c for c in changes if c.id not in outcomes and c.overwrite is overwrite]
            sent = self._write(ready, overwrite=overwrite)
            outcomes.update(zip((change.id for change in ready), sent, strict=True))
        return [outcomes[change.id] for change in changes]

    def _read(self, changes: list[Change]) -> list[Outcome]:
        def call(some: Sequence[Change]) -> list[Answer]:
            answers = self._calendar.get([change.id for change in some])
            for change, answer in zip(some, answers, strict=True):
                if answer.ok:
                    change.take(read_item(answer.item))
            return answers

        return self._send(changes, call, lambda _, answer: item_outcome(answer, self._clock), reading=True)

    def _write(self, changes: list[Change], *, overwrite: bool) -> list[Outcome]:
        def outcome(change: Change, answer: Answer) -> Outcome:
            outcome = item_outcome(answer, self._clock, id=change.id)
            return change.done(outcome.id, outcome.version) if isinstance(outcome, Done) else outcome

        return self._send(
            changes,
            lambda some: self._calendar.update([change.item() for change in some], overwrite=overwrite),
            outcome,
        )

    def _create(self, creates: list[Create]) -> list[Outcome]:
        outcomes = self._send(
            creates,
            lambda some: self._calendar.create([new_item(create.event, create.marker) for create in some]),
            lambda _, answer: item_outcome(answer, self._clock),
        )
        return [calendar_outcome(outcome, delegate=self._delegate) for outcome in outcomes]

    def _send(
        self,
        operations: Sequence[T],
        call: Callable[[Sequence[T]], list[Answer]],
        outcome: Callable[[T, Answer], Outcome],
        *,
        reading: bool = False,
    ) -> list[Outcome]:
        """Make one request of the operations and say what came of each."""
        if not operations:
            return []
        if self._stopped is not None:
            return [not_sent(self._stopped, self._clock)] * len(operations)
        try:
            answers = call(operations)
        except FAILURES as failure:
            if too_much_at_once(failure) and len(operations) > 1:
                # One bad event must not hold up the others, and nothing was done yet: halve, and halve.
                middle = len(operations) // 2
                return [
                    result
                    for half in (operations[:middle], operations[middle:])
                    for result in self._send(half, call, outcome, reading=reading)
                ]
            whole = write_outcome(failure, self._clock)
            if stops(whole):
                self._stopped = whole
            if reading and isinstance(whole, Unknown):
                whole = not_sent(whole, self._clock)
            return [whole] * len(operations)
        outcomes = [outcome(*pair) for pair in zip(operations, answers, strict=True)]
        # The budget is checked after every item: what came before a busy one is done, the rest has to wait.
        self._stopped = next((one for one in outcomes if isinstance(one, Throttled)), None)
        return outcomes

    def _make_sure(self, outcomes: list[Outcome]) -> list[Outcome]:
        """The outcomes, where "gone" is only said if the calendar can be read.

        Exchange also says that an item is not found when the account has lost its permission.
        """
        if not any(_event_gone(outcome) for outcome in outcomes):
            return outcomes
        if self._stopped is not None:
            verdict: Outcome | None = not_sent(self._stopped, self._clock)
        else:
            verdict = self._closed(self._calendar, delegate=self._delegate)
        if verdict is None:
            return outcomes
        return [verdict if _event_gone(outcome) else outcome for outcome in outcomes]

    def _closed(self, calendar: Calendar, *, delegate: bool) -> Outcome | None:
        """Why a calendar cannot be read and written, or None if it can."""
        try:
            folder = calendar.folder()
        except FAILURES as failure:
            closed: Outcome = read_outcome(failure, self._clock, delegate=delegate)
            self._stopped = closed
            return not_sent(closed, self._clock)
        return None if folder.usable else no_right_to_write()


def _calendar_gone(outcome: Outcome | None) -> bool:
    return isinstance(outcome, Gone) and outcome.what == "calendar"


def _event_gone(outcome: Outcome) -> bool:
    return isinstance(outcome, Gone) and outcome.what == "event"
