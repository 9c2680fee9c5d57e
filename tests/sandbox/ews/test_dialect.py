"""Exchange's items as the control API shows and changes them: the person's own doing."""

from urllib.parse import quote
from uuid import UUID

import aiohttp
import msgspec
import pytest

from providers.contract import Marker
from providers.marker import PROPERTY_SET, to_strings
from providers.sandbox.ews.dialect import EwsDialect
from providers.sandbox.server import Sandbox
from providers.sandbox.state import Native, SandboxMailbox
from tests.sandbox.ews.soap import ALICE, Exchange, lecture, set_field, uri

MARKER = Marker(
    instance="uni.example",
    synchronization=7,
    event="e1@uni.example",
    attempt=UUID("0123456789abcdef0123456789abcdef"),
)
COMMON = {
    "title": "Dentist",
    "start": "2026-09-01T09:00:00+02:00",
    "end": "2026-09-01T08:00:00Z",
    "timeZone": "Europe/Amsterdam",
    "allDay": False,
    "location": "Town",
    "description": "Bring the card",
    "categories": ["private"],
    "showAs": "tentative",
    "reminderMinutes": 60,
    "privacy": "private",
}


def marked() -> str:
    return "".join(
        f'<t:ExtendedProperty><t:ExtendedFieldURI PropertySetId="{PROPERTY_SET}" PropertyName="{name}"'
        f' PropertyType="String"/><t:Value>{value}</t:Value></t:ExtendedProperty>'
        for name, value in to_strings(MARKER).items()
    )


@pytest.fixture
def mailbox() -> SandboxMailbox:
    return SandboxMailbox(type="ews", address=ALICE)


def visible(mailbox: SandboxMailbox) -> list[Native]:
    return list(EwsDialect().visible(mailbox))


def test_a_persons_event(mailbox: SandboxMailbox) -> None:
    dialect = EwsDialect()
    made = dialect.describe(mailbox, dialect.create(mailbox, COMMON))
    assert made.pop("id")
    assert made.pop("version")
    assert made == COMMON | {
        "start": "2026-09-01T07:00:00Z",
        "end": "2026-09-01T08:00:00Z",
        "timeZone": "Europe/Berlin",  # Exchange keeps a Windows zone: Amsterdam and Berlin share one
        "colour": None,
        "calendar": None,
        "marker": None,
    }


def test_a_person_makes_a_calendar_and_moves_an_event_into_it(mailbox: SandboxMailbox) -> None:
    """Exchange gives what is moved another id."""
    dialect = EwsDialect()
    calendar = dialect.make_calendar(mailbox, "Sports")
    there = dialect.create(mailbox, COMMON | {"calendar": calendar.id})
    here = dialect.create(mailbox, COMMON)
    moved = dialect.move(mailbox, here, calendar.id)
    assert moved["id"] != here["id"]
    copied = dialect.copy(mailbox, moved)
    back = dialect.move(mailbox, there, None)
    shown = {one["id"]: dialect.describe(mailbox, one)["calendar"] for one in visible(mailbox)}
    assert shown == {moved["id"]: calendar.id, copied["id"]: calendar.id, back["id"]: None}


def test_two_calendars_of_one_name_are_one_too_many(mailbox: SandboxMailbox) -> None:
    EwsDialect().make_calendar(mailbox, "Sports")
    with pytest.raises(ValueError, match="already exists"):
        EwsDialect().make_calendar(mailbox, "SPORTS")


def test_an_all_day_event_has_dates_and_an_exclusive_end(mailbox: SandboxMailbox) -> None:
    dialect = EwsDialect()
    days = {"start": "2026-03-29", "end": "2026-03-31", "allDay": True, "timeZone": "Europe/Amsterdam"}
    made = dialect.describe(mailbox, dialect.create(mailbox, days))
    assert made.items() >= {"start": "2026-03-29", "end": "2026-03-31", "allDay": True}.items()


def test_a_person_changes_some_fields(mailbox: SandboxMailbox) -> None:
    dialect = EwsDialect()
    native = dialect.create(mailbox, COMMON)
    before = dialect.describe(mailbox, native)
    dialect.change(mailbox, native, {"title": "Surgeon", "reminderMinutes": None})
    after = dialect.describe(mailbox, native)
    assert after["id"] == before["id"]
    assert after.pop("version") != before.pop("version")
    assert after == before | {"title": "Surgeon", "reminderMinutes": None}


def test_a_copy_carries_the_marker_and_has_its_own_id(mailbox: SandboxMailbox) -> None:
    dialect = EwsDialect()
    native = dialect.create(mailbox, COMMON)
    copied = dialect.copy(mailbox, native)
    assert copied["id"] != native["id"]
    assert copied["fields"]["calendar:UID"] != native["fields"]["calendar:UID"]
    one, other = dialect.describe(mailbox, native), dialect.describe(mailbox, copied)
    for name in ("id", "version"):
        del one[name], other[name]
    assert one == other
    dialect.change(mailbox, copied, {"title": "The copy"})
    assert dialect.describe(mailbox, native)["title"] == "Dentist"


def test_a_removed_event_is_gone(mailbox: SandboxMailbox) -> None:
    dialect = EwsDialect()
    one, two = dialect.create(mailbox, COMMON), dialect.create(mailbox, COMMON)
    dialect.remove(mailbox, one)
    assert visible(mailbox) == [two]


def test_native_events_survive_json(mailbox: SandboxMailbox) -> None:
    native = EwsDialect().create(mailbox, COMMON)
    assert msgspec.json.decode(msgspec.json.encode(native)) == native


async def test_what_a_client_made_by_ews(exchange: Exchange) -> None:
    made = await exchange.create(lecture(more=marked()), lecture("b"))
    mailbox = exchange.state.mailbox("ews", ALICE)
    assert mailbox is not None
    dialect = EwsDialect()
    one, two = (dialect.describe(mailbox, native) for native in visible(mailbox))
    assert (one["id"], one["version"]) == made.ids[0]
    assert one["marker"] == {
        "instance": "uni.example",
        "synchronization": 7,
        "event": "e1@uni.example",
        "attempt": "0123456789abcdef0123456789abcdef",
    }
    assert two["marker"] is None
    copied = dialect.describe(mailbox, dialect.copy(mailbox, visible(mailbox)[0]))
    assert copied["marker"] == one["marker"]


async def test_deleted_items_are_not_in_the_calendar(exchange: Exchange) -> None:
    made = await exchange.create(lecture())
    await exchange.delete(made.ids[0][0], kind="MoveToDeletedItems")
    mailbox = exchange.state.mailbox("ews", ALICE)
    assert mailbox is not None
    assert visible(mailbox) == []


async def test_a_persons_change_conflicts_with_a_clients(exchange: Exchange) -> None:
    made = (await exchange.create(lecture())).ids[0]
    mailbox = exchange.state.mailbox("ews", ALICE)
    assert mailbox is not None
    EwsDialect().change(mailbox, visible(mailbox)[0], {"title": "Mine"})
    subject = set_field(uri("item:Subject"), "<t:Subject>theirs</t:Subject>")
    place = set_field(uri("calendar:Location"), "<t:Location>theirs</t:Location>")
    assert (await exchange.update(made, subject)).codes == ["ErrorIrresolvableConflict"]
    assert (await exchange.update(made, place)).codes == ["NoError"]
    found = EwsDialect().describe(mailbox, visible(mailbox)[0])
    assert (found["title"], found["location"]) == ("Mine", "theirs")


async def test_by_the_control_api_over_tls(sandbox: Sandbox, client: aiohttp.ClientSession) -> None:
    calendar = f"{sandbox.control}/mailboxes/ews/{ALICE}/events"
    async with client.post(calendar, json=COMMON) as answer:
        assert answer.status == 201
        made = await answer.json()
    event = f"{calendar}/{quote(made['id'], safe='')}"
    async with client.patch(event, json={"title": "Surgeon"}) as answer:
        assert (await answer.json())["title"] == "Surgeon"
    async with client.delete(event) as answer:
        assert answer.status == 204
    async with client.get(calendar) as answer:
        assert (await answer.json()) == {"events": []}
