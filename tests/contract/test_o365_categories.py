"""The colours of Microsoft 365's master categories: made once a mailbox, the person's own left alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from providers import o365
from providers.adapter import Adapter
from providers.contract import Colour, Create, Done, Mailbox, Refused, Throttled
from providers.sandbox.graph import categories
from providers.sandbox.server import Sandbox
from tests.contract.harness import Control, all_done, create, lecture, put, update
from tests.contract.test_o365 import connected, settings

pytestmark = pytest.mark.parametrize("type", ["o365"])


def coloured(number: int = 0, colour: Colour = "purple", category: str = "Lecture") -> Create:
    return create(lecture(number, categories=(category,), colours={category: colour}))


def master_list(sandbox: Sandbox, mailbox: Mailbox) -> dict[str, str]:
    """The presets by category, of those that the mailbox did not come with."""
    held = sandbox.state.mailbox("o365", mailbox.address)
    assert held is not None
    listed = [(each["displayName"], each["color"]) for each in categories.master_list(held)]
    names = [name for name, _ in listed]
    assert len(names) == len(set(names))
    return {name: color for name, color in listed if name not in categories.FIRST}


def person_colours(sandbox: Sandbox, mailbox: Mailbox, category: str, color: str) -> None:
    """The person gives a category, made for that if need be, a colour in Outlook."""
    held = sandbox.state.mailbox("o365", mailbox.address)
    assert held is not None
    others = [each for each in categories.master_list(held) if each["displayName"] != category]
    held.native["categories"] = [*others, {"id": "theirs", "displayName": category, "color": color}]


async def test_a_category_is_made_once_though_two_workers_want_it(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    await put(adapter, mailbox, coloured(0), coloured(1))
    async with connected(settings(sandbox)) as another:
        await put(another, mailbox, coloured(2), coloured(3, "red", "LECTURE"))
    assert master_list(sandbox, mailbox) == {"Lecture": "preset8"}
    assert sandbox.state.stats.operations["o365", "create_category"] == 1


async def test_what_the_person_has_coloured_stays_so(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    person_colours(sandbox, mailbox, "lecture", "preset22")
    await put(adapter, mailbox, coloured(0), coloured(1, category="Red category"))
    assert master_list(sandbox, mailbox) == {"lecture": "preset22"}
    assert sandbox.state.stats.operations["o365", "update_category"] == 0


async def test_a_colour_that_the_person_has_chosen_since_stays_when_ours_changes(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = coloured()
    (done,) = await put(adapter, mailbox, operation)
    person_colours(sandbox, mailbox, "Lecture", "preset22")
    changed = coloured(0, "red").event
    all_done(await adapter.apply(mailbox, [update(done, operation, changed)]))
    assert master_list(sandbox, mailbox) == {"Lecture": "preset22"}


async def test_a_category_keeps_its_colour_for_the_events_that_still_have_it(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operations = [coloured(0), coloured(1)]
    done = await put(adapter, mailbox, *operations)
    exam = coloured(0, "red", "Exam").event
    all_done(await adapter.apply(mailbox, [update(done[0], operations[0], exam)]))
    assert master_list(sandbox, mailbox) == {"Lecture": "preset8", "Exam": "preset0"}


async def test_without_the_permission_events_are_written_all_the_same(
    sandbox: Sandbox, mailbox: Mailbox, control: Control
) -> None:
    """The administrator hears of it once a mailbox, and once it is granted, colours come by themselves."""
    now = datetime.now(UTC)
    adapter = await o365.connect(settings(sandbox), lambda: now)
    try:
        await control.fault("deny", operation="read_category", times=2)
        with capture_logs() as logs:
            await put(adapter, mailbox, coloured(0))
            await put(adapter, mailbox, coloured(1))
            assert sandbox.state.stats.operations["o365", "read_category"] == 1
            now += timedelta(hours=1)
            await put(adapter, mailbox, coloured(2))
            now += timedelta(hours=1)
            await put(adapter, mailbox, coloured(3))
    finally:
        await adapter.close()
    assert len(await control.events(mailbox.address)) == 4
    (log,) = logs
    assert (log["event"], log["mailbox"]) == ("categories_out_of_reach", mailbox.address)
    assert "MailboxSettings.ReadWrite" in log["advice"]
    assert master_list(sandbox, mailbox) == {"Lecture": "preset8"}


async def test_once_a_mailbox_is_open_again_its_categories_are_too(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    await control.make(mailbox.address, access=False)
    (outcome,) = await adapter.apply(mailbox, [coloured()])
    assert isinstance(outcome, Refused)
    await control.make(mailbox.address, access=True)
    await put(adapter, mailbox, coloured())
    assert master_list(sandbox, mailbox) == {"Lecture": "preset8"}


@pytest.mark.parametrize("operation", ["read_category", "create_category"])
async def test_a_wait_that_is_asked_for_counts_for_the_events_too(
    adapter: Adapter, mailbox: Mailbox, control: Control, operation: str
) -> None:
    await control.fault("throttle", operation=operation, retryAfter=30)
    started = datetime.now(UTC)
    outcomes = await adapter.apply(mailbox, [coloured(0), coloured(1)])
    assert outcomes[0] == outcomes[1]
    assert isinstance(outcomes[0], Throttled)
    assert timedelta(seconds=25) < outcomes[0].until - started < timedelta(seconds=60)
    assert await control.events(mailbox.address) == []


@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_503", "partial", "unavailable"])
@pytest.mark.parametrize("operation", ["read_category", "create_category"])
async def test_after_an_answer_that_never_came_the_list_is_read_before_anything_is_made(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control, fault: str, operation: str
) -> None:
    await control.fault(fault, operation=operation)
    (outcome,) = await adapter.apply(mailbox, [coloured(0)])
    assert isinstance(outcome, Throttled)
    assert await control.events(mailbox.address) == []
    await control.forget()
    await put(adapter, mailbox, coloured(0), coloured(1))
    assert len(await control.events(mailbox.address)) == 2
    assert master_list(sandbox, mailbox) == {"Lecture": "preset8"}


async def test_events_do_not_wait_for_ever_for_a_colour(
    sandbox: Sandbox, mailbox: Mailbox, control: Control
) -> None:
    now = datetime.now(UTC)
    adapter = await o365.connect(settings(sandbox), lambda: now)
    waiting = Throttled(until=now, scope="mailbox", code="not_sent")
    try:
        await control.fault("unavailable", operation="read_category")
        operation = coloured(0)
        assert [await adapter.apply(mailbox, [operation]) for _ in range(2)] == [[waiting], [waiting]]
        await put(adapter, mailbox, operation)
        await put(adapter, mailbox, coloured(1))
        assert sandbox.state.stats.operations["o365", "read_category"] == 3
        await control.forget()
        now += timedelta(hours=1)
        await put(adapter, mailbox, coloured(2))
    finally:
        await adapter.close()
    assert master_list(sandbox, mailbox) == {"Lecture": "preset8"}


async def test_a_category_that_another_worker_makes_meanwhile_is_looked_at_again(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    answered = categories.Categories._listed

    def and_then(self: Any, held: Any) -> Any:
        answer = answered(self, held)
        person_colours(sandbox, mailbox, "Lecture", "preset8")
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(categories.Categories, "_listed", and_then)
        assert [type(each) for each in await adapter.apply(mailbox, [coloured(0)])] == [Throttled]
    await put(adapter, mailbox, coloured(0), coloured(1))
    assert master_list(sandbox, mailbox) == {"Lecture": "preset8"}
    assert len(await control.events(mailbox.address)) == 2


async def test_the_permit_is_asked_for_a_category_too(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    def withdrawn() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await adapter.apply(mailbox, [coloured()], withdrawn)
    assert master_list(sandbox, mailbox) == {}
    assert await control.events(mailbox.address) == []
    (done,) = await put(adapter, mailbox, coloured())
    assert isinstance(done, Done)
