"""Each request that writes is sent by a permit of its own, asked for at the last moment."""

import pytest
from lxml import etree

from providers.contract import Create, Delete, Permit, Update
from tests.unit.providers.ews_server import (
    ALICE,
    ScriptedEndpoint,
    event,
    fault,
    get_any,
    marker,
    response,
    scripted,
    success,
    update,
)


class Revoked(Exception):
    """The lease is lost: nothing may be written any more."""


def permits(count: int, endpoint: ScriptedEndpoint, asked: list[list[str]]) -> Permit:
    """So many permits, then none; ``asked`` gets what had been sent each time one was asked for."""

    def permit() -> None:
        asked.append(endpoint.operations)
        if len(asked) > count:
            raise Revoked

    return permit


def delete(number: int) -> Delete:
    return Delete(id=f"id-{number}", version="ck")


def create(number: int) -> Create:
    return Create(event=event(number), marker=marker(number))


def done(request: etree._Element) -> bytes:
    """All of it done."""
    count = {"DeleteItem": "ItemId", "UpdateItem": "ItemChange", "CreateItem": "CalendarItem"}
    operation = etree.QName(request).localname
    items = [one for one in request.iter() if etree.QName(one).localname == count[operation]]
    return response(operation, *(success(f"id-{i}", "v2") for i in range(len(items))))


async def test_a_permit_is_asked_for_each_write_and_for_no_read():
    asked: list[list[str]] = []
    unread = Update(id="id-2", version=None, event=event(2, title="New"), possible=(), marker=marker(2))
    async with scripted(done, get_any, done, done) as (adapter, endpoint):
        await adapter.apply(ALICE, [create(1), unread, delete(3)], permits(3, endpoint, asked))

    assert asked == [[], ["DeleteItem", "GetItem"], ["DeleteItem", "GetItem", "UpdateItem"]]


@pytest.mark.parametrize(
    ("count", "sent"),
    [(0, []), (1, ["DeleteItem"]), (2, ["DeleteItem", "UpdateItem"])],
)
async def test_without_a_permit_nothing_is_sent_from_then_on(count: int, sent: list[str]):
    asked: list[list[str]] = []
    async with scripted(*[done] * count) as (adapter, endpoint):
        with pytest.raises(Revoked):
            await adapter.apply(ALICE, [create(1), update(2), delete(3)], permits(count, endpoint, asked))
        assert endpoint.operations == sent


async def test_a_request_that_is_sent_again_in_halves_needs_a_permit_for_each():
    asked: list[list[str]] = []
    async with scripted(fault("ErrorInvalidRequest"), done) as (adapter, endpoint):
        with pytest.raises(Revoked):
            await adapter.apply(ALICE, [create(1), create(2)], permits(2, endpoint, asked))

    assert asked == [[], ["CreateItem"], ["CreateItem", "CreateItem"]]
