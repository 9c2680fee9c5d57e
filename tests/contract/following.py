"""A calendar as somebody knows it who asks for its changes, for the tests of ``Adapter.changes``."""

from providers.adapter import Adapter
from providers.contract import Changes, Mailbox, RemoteEvent
from tests.contract.harness import INSTANCE


class Followed:
    """A calendar as somebody knows it who has asked for its changes, again and again."""

    def __init__(self, adapter: Adapter, mailbox: Mailbox, instance: str = INSTANCE) -> None:
        self.adapter, self.mailbox, self.instance = adapter, mailbox, instance
        self.state: str | None = None
        self.events: dict[str, RemoteEvent] = {}
        """What is there, by id, in the order in which it was told."""

    async def ask(self) -> list[Changes]:
        """Ask, and take over what is told; the pages of the answer."""
        pages = [page async for page in self.adapter.changes(self.mailbox, self.instance, self.state)]
        assert [page.state is not None for page in pages] == [False] * (len(pages) - 1) + [True]
        for page in pages:
            for event in page.events:
                self.events.pop(event.id, None)
                self.events[event.id] = event
            for id in page.removed:
                self.events.pop(id, None)
        self.state = pages[-1].state
        return pages


def told(pages: list[Changes]) -> set[str]:
    """The ids of the events that are said to be there."""
    return {event.id for page in pages for event in page.events}


def removed(pages: list[Changes]) -> set[str]:
    return {id for page in pages for id in page.removed}


async def listed(adapter: Adapter, mailbox: Mailbox) -> dict[str, RemoteEvent]:
    return {event.id: event async for event in adapter.list(mailbox, INSTANCE)}
