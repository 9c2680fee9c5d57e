"""The permit to write: asked before each request that writes, and nothing goes out once it is withdrawn."""

from collections import Counter

import msgspec
import pytest

from providers.adapter import Adapter
from providers.contract import Mailbox, Operation
from providers.sandbox.server import Sandbox
from tests.contract.harness import Control, all_done, create, delete, lecture, put, update


class Withdrawn(OSError):
    """What a permit raises: any exception, even one of a kind that HTTP libraries think theirs."""


class Permits:
    """Counts how often the permit is asked for, and withdraws it the nth time."""

    def __init__(self, sandbox: Sandbox, withdrawn: int | None = None) -> None:
        self._sandbox = sandbox
        self._withdrawn = withdrawn
        self.asked = 0
        self.requests: Counter[tuple[str, str]] = Counter()
        """What the provider had heard when it was withdrawn."""

    def __call__(self) -> None:
        self.asked += 1
        if self.asked == self._withdrawn:
            self.requests = Counter(self._sandbox.state.stats.requests)
            raise Withdrawn("the lease is lost")


async def changed_by_the_person(adapter: Adapter, mailbox: Mailbox, control: Control) -> list[Operation]:
    """An update that finds its event changed: it is written twice, with a read in between."""
    operation = create(lecture(description="Bring a book."))
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, description="Bring a book.\nSit with Bob.")
    await control.forget()
    return [update(done, operation, lecture(description="Bring two books."))]


async def test_requests_that_write_are_permitted(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    permits = Permits(sandbox)
    creates = [create(lecture(n)) for n in range(3)]
    done = all_done(await adapter.apply(mailbox, creates, permits))
    assert permits.asked == await control.requests()
    all_done(await adapter.apply(mailbox, [delete(each) for each in done], permits))
    assert permits.asked == await control.requests()


async def test_each_further_request_that_writes_is_permitted_anew_and_reads_are_not(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    permits = Permits(sandbox)
    all_done(await adapter.apply(mailbox, await changed_by_the_person(adapter, mailbox, control), permits))
    assert permits.asked == 2
    assert await control.requests() == 3


@pytest.mark.parametrize("nth", [1, 2])
async def test_nothing_is_sent_once_the_permit_is_withdrawn(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control, nth: int
) -> None:
    operations = await changed_by_the_person(adapter, mailbox, control)
    before = await control.events(mailbox.address)
    permits = Permits(sandbox, withdrawn=nth)
    with pytest.raises(Withdrawn):
        await adapter.apply(mailbox, operations, permits)
    assert permits.asked == nth
    assert sandbox.state.stats.requests == permits.requests
    assert await control.events(mailbox.address) == before


@pytest.mark.parametrize("count", [1, 3])
async def test_without_a_permit_nothing_is_created(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control, count: int
) -> None:
    with pytest.raises(Withdrawn):
        await adapter.apply(mailbox, [create(lecture(n)) for n in range(count)], Permits(sandbox, 1))
    assert await control.events(mailbox.address) == []


async def test_the_adapter_goes_on_working_after_a_withdrawn_permit(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(lecture())
    for _ in range(3):
        with pytest.raises(Withdrawn):
            await adapter.apply(mailbox, [operation], Permits(sandbox, withdrawn=1))
    (done,) = await put(adapter, mailbox, operation)
    moved = msgspec.structs.replace(operation.event, location="Room B")
    all_done(await adapter.apply(mailbox, [update(done, operation, moved)]))
    assert (await control.event(mailbox.address))["location"] == "Room B"
