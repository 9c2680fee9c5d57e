"""Carries out the operations of one ``apply``, in as few requests as Graph's rules allow."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from providers.contract import (
    Clock,
    Create,
    Delete,
    Done,
    Mailbox,
    Move,
    Operation,
    Outcome,
    Permit,
    ProviderError,
    Update,
    always,
)
from providers.o365 import outcomes
from providers.o365.batch import CONCURRENT, fitting
from providers.o365.events import create_request, delete_request
from providers.o365.http import Graph
from providers.o365.messages import Answer, NoAnswer, Request
from providers.o365.moves import copy_request, half_moved, obstacle, original_request
from providers.o365.reading import Held, event_request, held_in
from providers.o365.updates import has_to_be_read, update_request, version_after, version_held

__all__ = ["Application"]

LookUp = Callable[[Create], Awaitable[Outcome]]
"""Finds the event of a create that Graph says it has carried out before."""


class Application:
    """The operations of one ``apply``, until each has its outcome.

    Operations go out in one ``$batch``, after another one that reads the events that have to be read
    first. Graph leaves out what comes after one that fails; that goes out again, unless the failure
    concerns it too. Updates that find their event moved on are read, and go out once more. Events that move
    are read, then copied, then deleted.
    """

    def __init__(
        self,
        graph: Graph,
        clock: Clock,
        mailbox: Mailbox,
        operations: Sequence[Operation],
        look_up: LookUp,
        permit: Permit,
    ) -> None:
        self._graph = graph
        self._clock = clock
        self._permit = permit
        self._mailbox = mailbox
        self._address = mailbox.address
        self._look_up = look_up
        self._left = dict(enumerate(operations))
        self._unread = {
            number
            for number, operation in self._left.items()
            if isinstance(operation, Move) or (isinstance(operation, Update) and has_to_be_read(operation))
        }
        self._held: dict[int, Held] = {}
        self._originals: dict[int, dict[str, Any]] = {}
        """Of moves: what is to be copied."""
        self._copies: dict[int, str] = {}
        """Of moves: the ids of the copies."""
        self._outcomes: dict[int, Outcome] = {}
        self._chained = True

    async def run(self) -> list[Outcome]:
        """Outcomes in the order of the operations."""
        count = len(self._left)
        while self._left:
            known = set(self._outcomes)
            if self._unread:
                await self._read()
                if not self._unread:
                    self._chained = True
            else:
                await self._write()
            self._stop_after(known)
        return [self._outcomes[number] for number in range(count)]

    async def _read(self) -> None:
        requests = {number: self._read_request(self._left[number]) for number in sorted(self._unread)}
        for number, answer in (await self._send(requests, always)).items():
            self._unread.discard(number)
            failure = outcomes.of_event_read(answer, self._clock())
            if failure is not None:
                self._settle(number, failure)
                continue
            try:
                self._take(number, answer.body or {})
            except (KeyError, TypeError, ValueError, AttributeError):
                self._settle(number, outcomes.no_answer(NoAnswer("unreadable_event")))

    def _read_request(self, operation: Operation) -> Request:
        assert isinstance(operation, Update | Move)
        read = original_request if isinstance(operation, Move) else event_request
        return read(self._address, operation.id)

    def _take(self, number: int, item: dict[str, Any]) -> None:
        """What was read of an event. Raises as ``held_in`` and ``copy_request`` if it is none."""
        operation = self._left[number]
        if not isinstance(operation, Move):
            self._held[number] = held_in(item)
            return
        refusal = obstacle(item)
        if refusal is not None:
            self._settle(number, refusal)
            return
        copy_request(self._mailbox, operation, item)
        self._originals[number] = item

    async def _write(self) -> None:
        requests: dict[int, Request] = {}
        for number, operation in list(self._left.items()):
            request = self._request(number, operation)
            if request is None:
                self._settle(number, self._unchanged(number))
            else:
                requests[number] = request
        if not requests:
            return
        answers = await self._send(requests, self._permit)
        for number, answer in answers.items():
            operation = self._left[number]
            if isinstance(operation, Update) and number not in self._held and outcomes.has_moved_on(answer):
                self._unread.add(number)
            elif isinstance(operation, Create) and outcomes.is_repeated_create(answer):
                self._settle(number, await self._look_up(operation))
            elif isinstance(operation, Move):
                self._moved(number, operation, answer)
            else:
                self._settle(number, self._written(number, requests[number], answer))
        if self._unread:
            # Exchange moves many events on at once, seconds after it made them: rather than to find out
            # one by one, what depends on a version and is still to be sent is read along.
            self._unread |= {
                number
                for number, request in requests.items()
                if number in self._left and number not in self._held and request.version is not None
            }

    async def _send(self, requests: dict[int, Request], permit: Permit) -> dict[int, Answer]:
        """The answers to those that were carried out. What got none has its outcome already."""
        numbers = list(requests)[: fitting(list(requests.values()), chained=self._chained)]
        try:
            sent = [requests[number] for number in numbers]
            answers = await self._graph.send_together(sent, chained=self._chained, permit=permit)
        except NoAnswer as error:
            self._settle_all(numbers, outcomes.no_answer(error))
            return {}
        except ProviderError as error:
            self._settle_all(numbers, error.outcome)
            return {}
        carried_out: dict[int, Answer] = {}
        begun = failed = 0
        for number, answer in zip(numbers, answers, strict=True):
            if answer is None:
                self._settle(number, outcomes.no_answer(NoAnswer("left_out_of_batch_answer")))
            elif not outcomes.not_executed(answer):
                carried_out[number] = answer
                begun += 1
                failed += answer.status >= 400 and not outcomes.has_moved_on(answer)
        if begun == 0:
            left = [number for number in numbers if number in self._left]
            self._settle_all(left, outcomes.no_answer(NoAnswer("batch_not_begun")))
        # Where a chain breaks early, another one would too: as after the person has emptied the calendar.
        # Side by side nothing is left out, but only so few go at once. Once all are well, chains again.
        self._chained = not failed or begun > CONCURRENT
        return carried_out

    def _request(self, number: int, operation: Operation) -> Request | None:
        match operation:
            case Create():
                return create_request(self._mailbox, operation)
            case Update():
                return update_request(self._address, operation, self._held.get(number))
            case Delete():
                return delete_request(self._address, operation)
            case Move(id=id) if number in self._copies:
                return delete_request(self._address, Delete(id=id, version=None))
            case Move():
                return copy_request(self._mailbox, operation, self._originals[number])

    def _moved(self, number: int, move: Move, answer: Answer) -> None:
        """What came of the copy, or of taking out the original."""
        if number in self._copies:
            outcome = outcomes.of_write(Delete(id=move.id, version=None), answer, self._clock())
            self._settle(number, Done(self._copies[number]) if isinstance(outcome, Done) else outcome)
        elif outcomes.is_repeated_create(answer):
            self._settle(number, outcomes.no_answer(NoAnswer("repeated_create")))
        else:
            outcome = outcomes.of_write(move, answer, self._clock())
            if isinstance(outcome, Done):
                self._copies[number] = outcome.id
            else:
                self._settle(number, outcome)

    def _written(self, number: int, request: Request, answer: Answer) -> Outcome:
        operation = self._left[number]
        outcome = outcomes.of_write(operation, answer, self._clock())
        # What was written over a version of our text alone is our text alone.
        over_ours = number not in self._held and request.version is not None
        if isinstance(operation, Update) and isinstance(outcome, Done) and not over_ours:
            return Done(operation.id, version_after(operation.event, answer.body))
        return outcome

    def _unchanged(self, number: int) -> Done:
        update, held = self._update(number), self._held.get(number)
        return Done(update.id, update.version if held is None else version_held(update.event, held))

    def _update(self, number: int) -> Update:
        operation = self._left[number]
        assert isinstance(operation, Update)
        return operation

    def _stop_after(self, known: set[int]) -> None:
        """Where an outcome of now concerns what is left too, that is not sent."""
        now = self._clock()
        stops = (outcomes.of_unsent(self._outcomes[n], now) for n in self._outcomes.keys() - known)
        stop = next((each for each in stops if each is not None), None)
        if stop is not None:
            self._settle_all(list(self._left), stop)

    def _settle_all(self, numbers: Sequence[int], outcome: Outcome) -> None:
        for number in numbers:
            self._settle(number, outcome)

    def _settle(self, number: int, outcome: Outcome) -> None:
        if number in self._copies and not isinstance(outcome, Done):
            outcome = half_moved(outcome)
        del self._left[number]
        self._unread.discard(number)
        self._outcomes[number] = outcome
