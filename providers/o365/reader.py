"""Reads from Microsoft Graph that are answered, or raise why not."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from providers.contract import Clock, ProviderError, RemoteEvent
from providers.o365 import outcomes, reading
from providers.o365.http import Graph
from providers.o365.messages import Answer, NoAnswer, Request

__all__ = ["Reader", "items_of", "ours"]


class Reader:
    """Nothing here takes a failed read for an empty one: each raises ``ProviderError``."""

    def __init__(self, graph: Graph, clock: Clock) -> None:
        self._graph = graph
        self._clock = clock

    async def read(self, request: Request) -> dict[str, Any]:
        """The body of the answer."""
        try:
            return self.body(await self._graph.send(request))
        except NoAnswer as error:
            raise ProviderError(outcomes.no_answer(error)) from error

    async def together(self, requests: Sequence[Request], *, chained: bool) -> list[Answer]:
        """The answers to as many requests as ``Graph.send_together`` takes; each of them may be a failure."""
        try:
            answers = await self._graph.send_together(requests, chained=chained)
        except NoAnswer as error:
            raise ProviderError(outcomes.no_answer(error)) from error
        found = [answer for answer in answers if answer is not None]
        if len(found) < len(answers):
            raise ProviderError(outcomes.no_answer(NoAnswer("left_out_of_batch_answer")))
        return found

    async def items(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """The items of this page and of all that follow."""
        while True:
            for item in items_of(body):
                yield item
            link = body.get("@odata.nextLink")
            if link is None:
                return
            body = await self._follow(str(link))

    def body(self, answer: Answer) -> dict[str, Any]:
        """The body of a read that was answered."""
        failure = outcomes.of_read(answer, self._clock())
        if failure is not None:
            raise ProviderError(failure)
        assert answer.body is not None
        return answer.body

    async def _follow(self, link: str) -> dict[str, Any]:
        try:
            return self.body(await self._graph.follow(link))
        except NoAnswer as error:
            raise ProviderError(outcomes.no_answer(error)) from error


def items_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of one page. Raises ``ProviderError`` if it is none."""
    items = body.get("value")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ProviderError(outcomes.no_answer(NoAnswer("unreadable_page")))
    return items


def ours(items: Iterable[dict[str, Any]], instance: str) -> list[RemoteEvent]:
    """Those of the events that carry the instance's marker. Raises ``ProviderError`` for what is no event."""
    try:
        found = [reading.remote_event(item) for item in items]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProviderError(outcomes.no_answer(NoAnswer("unreadable_page"))) from error
    return [event for event in found if event is not None and event.marker.instance == instance]
