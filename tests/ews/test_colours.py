"""Colours of categories in the master category list of a mailbox, through the sandbox's Exchange."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from lxml import etree
from structlog.testing import capture_logs

from providers.adapter import Adapter
from providers.contract import Colour, Create, Done, Mailbox, Outcome, Throttled, Update
from providers.sandbox.credentials import Credentials
from providers.sandbox.server import Sandbox
from providers.sandbox.state import Fault
from tests.contract.harness import connect
from tests.sandbox.conftest import SCHEMAS, credentials
from tests.unit.providers.ews_server import ALICE, T, error, event, marker, response, scripted, success

__all__ = ["credentials"]


@pytest_asyncio.fixture
async def sandbox(credentials: Credentials) -> AsyncIterator[Sandbox]:
    """Checks by Microsoft's schemas where they are, and category lists as Outlook would."""
    running = Sandbox(schemas=SCHEMAS if SCHEMAS.is_dir() else None)
    running.state.credentials = credentials
    async with running:
        yield running
        assert running.state.violations == []


@pytest_asyncio.fixture
async def adapter(sandbox: Sandbox) -> AsyncIterator[Adapter]:
    adapter = await connect("ews", sandbox.config)
    yield adapter
    await adapter.close()


@pytest_asyncio.fixture
async def mailbox(adapter: Adapter, sandbox: Sandbox) -> Mailbox:
    mailbox = await adapter.probe("alice@uni.example")
    sandbox.state.stats.reset()
    return mailbox


def create(number: int = 1, colours: dict[str, Colour] | None = None, category: str = "Algebra") -> Create:
    colours = {"Algebra": "red"} if colours is None else colours
    return Create(event=event(number, categories=(category,), colours=colours), marker=marker(number))


def recoloured(
    outcome: Outcome, before: dict[str, Colour], now: dict[str, Colour], number: int = 1
) -> Update:
    assert isinstance(outcome, Done)
    return Update(
        id=outcome.id,
        version=outcome.version,
        event=create(number, now).event,
        possible=(create(number, before).event,),
        marker=marker(number),
    )


def requests(sandbox: Sandbox) -> dict[str, int]:
    """What was asked for of the list, and how often."""
    counts = sandbox.state.stats.requests
    return {
        operation: count
        for (_, operation), count in counts.items()
        if operation.endswith("UserConfiguration")
    }


def category_list(sandbox: Sandbox) -> etree._Element | None:
    """The document in the mailbox, as a client of Outlook's kind would read it."""
    mailbox = sandbox.state.mailbox("ews", "alice@uni.example")
    assert mailbox is not None
    kept = mailbox.native.get("configurations", {}).get("calendar", {}).get("CategoryList")
    if kept is None:
        return None
    return etree.fromstring(
        base64.b64decode(
            etree.fromstring(
                kept["XmlData"].replace("<t:XmlData>", "<x>").replace("</t:XmlData>", "</x>")
            ).text
            or ""
        )
    )


def colours(sandbox: Sandbox) -> dict[str, str]:
    root = category_list(sandbox)
    return {} if root is None else {one.get("name", ""): one.get("color", "") for one in root}


def put_list(sandbox: Sandbox, text: str) -> None:
    """The person's Outlook has saved this."""
    mailbox = sandbox.state.mailbox("ews", "alice@uni.example")
    assert mailbox is not None
    data = base64.b64encode(text.encode()).decode()
    mailbox.native["configurations"] = {
        "calendar": {"CategoryList": {"id": "x", "change": 1, "XmlData": f"<t:XmlData>{data}</t:XmlData>"}}
    }


THEIRS = (
    '<?xml version="1.0"?>\n<categories default="Red Category" lastSavedSession="5" '
    'lastSavedTime="2026-08-29T21:15:49.321" xmlns="CategoryList.xsd">'
    '<category name="ALGEBRA" color="{colour}" keyboardShortcut="3" usageCount="7" lastSessionUsed="2" '
    'guid="{{2B7FD7CB-6B2B-4E5B-9E3E-0F1C2D3E4F50}}" renameOnFirstUse="0"/></categories>'
)


async def test_the_first_event_makes_the_category_with_its_colour(
    adapter: Adapter, mailbox: Mailbox, sandbox: Sandbox
) -> None:
    await adapter.apply(mailbox, [create(1), create(2)])
    assert colours(sandbox) == {"Algebra": "0"}
    assert requests(sandbox) == {"GetUserConfiguration": 1, "CreateUserConfiguration": 1}


async def test_a_category_is_made_once_a_mailbox(
    adapter: Adapter, mailbox: Mailbox, sandbox: Sandbox
) -> None:
    await adapter.apply(mailbox, [create(1)])
    sandbox.state.stats.reset()
    await adapter.apply(mailbox, [create(2)])
    assert requests(sandbox) == {}


async def test_a_second_worker_reads_and_makes_nothing_twice(
    adapter: Adapter, mailbox: Mailbox, sandbox: Sandbox
) -> None:
    await adapter.apply(mailbox, [create(1)])
    sandbox.state.stats.reset()
    other = await connect("ews", sandbox.config)
    await other.apply(mailbox, [create(2)])
    await other.close()
    assert requests(sandbox) == {"GetUserConfiguration": 1}
    assert colours(sandbox) == {"Algebra": "0"}


@pytest.mark.parametrize(
    ("colour", "number"),
    [
        ("red", "0"),
        ("orange", "1"),
        ("yellow", "3"),
        ("green", "4"),
        ("teal", "5"),
        ("blue", "7"),
        ("purple", "8"),
        ("cranberry", "9"),
        ("grey", "12"),
    ],
)
async def test_each_colour_has_outlooks_number(
    adapter: Adapter, mailbox: Mailbox, sandbox: Sandbox, colour: Colour, number: str
) -> None:
    await adapter.apply(mailbox, [create(1, {"Algebra": colour})])
    assert colours(sandbox) == {"Algebra": number}


async def test_a_persons_category_keeps_its_colour_and_everything_else(
    adapter: Adapter, mailbox: Mailbox, sandbox: Sandbox
) -> None:
    put_list(sandbox, THEIRS.format(colour=8))
    await adapter.apply(mailbox, [create(1), create(2, {"Physics": "blue"}, category="Physics")])
    assert colours(sandbox) == {"ALGEBRA": "8", "Physics": "7"}
    root = category_list(sandbox)
    assert root is not None
    assert root.get("default") == "Red Category"
    assert root[0].get("usageCount") == "7"
    assert requests(sandbox) == {"GetUserConfiguration": 1, "UpdateUserConfiguration": 1}


@pytest.mark.parametrize(
    ("there", "before", "now", "after"),
    [
        (0, {"Algebra": "red"}, {"Algebra": "blue"}, "7"),
        (0, {"Algebra": "red"}, {}, "-1"),
        (8, {"Algebra": "red"}, {"Algebra": "blue"}, "8"),
        (8, {"Algebra": "red"}, {}, "8"),
        (-1, {}, {"Algebra": "blue"}, "-1"),
    ],
    ids=["ours", "ours, not wanted any more", "theirs", "theirs, not wanted any more", "theirs without"],
)
async def test_only_the_colour_that_was_ours_is_changed(
    adapter: Adapter,
    mailbox: Mailbox,
    sandbox: Sandbox,
    there: int,
    before: dict[str, Colour],
    now: dict[str, Colour],
    after: str,
) -> None:
    (done,) = await adapter.apply(mailbox, [create(1, {})])
    put_list(sandbox, THEIRS.format(colour=there))
    (outcome,) = await adapter.apply(mailbox, [recoloured(done, before, now)])
    assert isinstance(outcome, Done)
    assert colours(sandbox) == {"ALGEBRA": after}


async def test_an_update_that_changes_nothing_about_colours_asks_nothing(
    adapter: Adapter, mailbox: Mailbox, sandbox: Sandbox
) -> None:
    (done,) = await adapter.apply(mailbox, [create(1, {})])
    sandbox.state.stats.reset()
    await adapter.apply(mailbox, [recoloured(done, {"Algebra": "red"}, {"Algebra": "red"})])
    assert requests(sandbox) == {}


@pytest.mark.parametrize(("operation", "reads"), [("read", 1), ("change_categories", 2)])
async def test_a_list_that_is_closed_to_us_holds_nothing_up_and_is_logged_once(
    adapter: Adapter, mailbox: Mailbox, sandbox: Sandbox, operation: str, reads: int
) -> None:
    sandbox.state.faults.add(
        Fault(type="ews", fault="deny", operation=operation, options={"code": "ErrorAccessDenied"})
    )
    with capture_logs() as log:
        outcomes = await adapter.apply(mailbox, [create(1)])
        outcomes += await adapter.apply(mailbox, [create(2)])
    assert [type(one) for one in outcomes] == [Done, Done]
    assert [(one["event"], one["code"]) for one in log] == [("category_list_refused", "ErrorAccessDenied")]
    assert requests(sandbox)["GetUserConfiguration"] == reads


async def test_a_list_that_nobody_can_read_is_left_as_it_is(
    adapter: Adapter, mailbox: Mailbox, sandbox: Sandbox
) -> None:
    put_list(sandbox, "not XML")
    with capture_logs() as log:
        (outcome,) = await adapter.apply(mailbox, [create(1)])
    assert isinstance(outcome, Done)
    assert [one["event"] for one in log] == ["category_list_unreadable"]
    assert requests(sandbox) == {"GetUserConfiguration": 1}


@pytest.mark.parametrize("fault", ["throttle", "unavailable", "commit_then_drop", "partial"])
@pytest.mark.parametrize("operation", ["GetUserConfiguration", "CreateUserConfiguration"])
async def test_where_the_list_gives_no_answer_no_event_is_written_and_the_next_time_does_both(
    adapter: Adapter, mailbox: Mailbox, sandbox: Sandbox, operation: str, fault: str
) -> None:
    sandbox.state.faults.add(Fault(type="ews", fault=fault, operation=operation, nth=1))
    (outcome,) = await adapter.apply(mailbox, [create(1)])
    assert isinstance(outcome, Throttled)
    assert sandbox.state.stats.requests["ews", "CreateItem"] == 0
    (outcome,) = await adapter.apply(mailbox, [create(1)])
    assert isinstance(outcome, Done)
    assert colours(sandbox) == {"Algebra": "0"}


async def test_a_list_that_another_worker_makes_in_the_same_moment_is_read_again() -> None:
    theirs = base64.b64encode(THEIRS.format(colour=8).replace("ALGEBRA", "Physics").encode()).decode()
    there = response(
        "GetUserConfiguration",
        success(payload=f"<m:UserConfiguration><t:XmlData>{theirs}</t:XmlData></m:UserConfiguration>"),
    )
    async with scripted(
        response("GetUserConfiguration", error("ErrorItemNotFound")),
        response("CreateUserConfiguration", error("ErrorItemSave")),
        there,
        response("UpdateUserConfiguration", success()),
        response("CreateItem", success("id-1", "v1")),
    ) as (adapter, endpoint):
        await adapter.apply(ALICE, [create(1)])

    saved = etree.fromstring(base64.b64decode(endpoint.requests[3].findtext(f".//{T}XmlData") or ""))
    assert [(one.get("name"), one.get("color")) for one in saved] == [("Physics", "8"), ("Algebra", "0")]


async def test_an_update_of_nothing_but_a_colour_is_not_done_before_the_colour_is(
    adapter: Adapter, mailbox: Mailbox, sandbox: Sandbox
) -> None:
    (done,) = await adapter.apply(mailbox, [create(1)])
    sandbox.state.faults.add(Fault(type="ews", fault="throttle", operation="GetUserConfiguration", nth=1))
    change = recoloured(done, {"Algebra": "red"}, {"Algebra": "blue"})
    (outcome,) = await adapter.apply(mailbox, [change])
    assert isinstance(outcome, Throttled)
    assert await adapter.apply(mailbox, [change]) == [done]
    assert colours(sandbox) == {"Algebra": "7"}


async def test_the_list_is_written_by_a_permit(adapter: Adapter, mailbox: Mailbox, sandbox: Sandbox) -> None:
    def refuse() -> None:
        raise LookupError("the lease is lost")

    with pytest.raises(LookupError, match="the lease is lost"):
        await adapter.apply(mailbox, [create(1)], refuse)
    assert requests(sandbox) == {"GetUserConfiguration": 1}
    assert colours(sandbox) == {}


async def test_the_saved_list_says_when(adapter: Adapter, mailbox: Mailbox, sandbox: Sandbox) -> None:
    await adapter.apply(mailbox, [create(1)])
    root = category_list(sandbox)
    assert root is not None
    saved = datetime.fromisoformat(root.get("lastSavedTime", "")).replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - saved).total_seconds()) < 600
