"""The webhook of a run: signed, in order, retried, and through the safe fetcher."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from aiohttp import web
from standardwebhooks import Webhook as Verifier

from app.clock import Clock, system_clock
from app.config import Config
from app.sources.contract import DeliveryFailed, RunIdentity
from app.sources.fetch import Fetcher
from app.sources.integrations import open_sources
from app.sources.settings import SourceSettings, WebhookSettings
from app.sources.webhook import HttpWebhook
from tests.clock import SettableClock
from tests.sources.web import Web, json, redirect, serving

SECRET = "whsec_" + b64encode(bytes(range(32))).decode()
RUN = RunIdentity(
    id=UUID(int=1), sync_job_id=UUID(int=2), integrated_account_id=UUID(int=3), attempt=1, fence=7
)
LOOPBACK = ("127.0.0.1/32",)

Make = Callable[..., HttpWebhook]


@pytest.fixture
async def receiver() -> AsyncIterator[Web]:
    async with serving() as made:
        made.answer = lambda _: json({}, 202)
        yield made


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
async def webhook(receiver: Web, clock: SettableClock, pauses: list[float]) -> AsyncIterator[Make]:
    fetchers = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.advance(seconds=seconds)

    def make(clock: Clock = clock, allowed: tuple[str, ...] = LOOPBACK, attempts: int = 4) -> HttpWebhook:
        fetchers.append(Fetcher(SourceSettings(allowed_networks=allowed), None))
        settings = WebhookSettings(url=f"{receiver.url}/hook", secret=SECRET, attempts=attempts)
        return HttpWebhook(settings, RUN, fetchers[-1], clock, max_wait=timedelta(minutes=15), sleep=sleep)

    yield make
    for fetcher in fetchers:
        await fetcher.close()


def bodies(receiver: Web) -> list[dict[str, Any]]:
    return [msgspec.json.decode(body) for body in receiver.bodies]


def ids(receiver: Web) -> list[str]:
    return [request.headers["webhook-id"] for request in receiver.requests]


async def test_an_event_says_what_happened_in_which_run(receiver: Web, webhook: Make) -> None:
    await webhook().send("record", {"resource": "rooms", "record": {"code": "1.23"}})
    (request,) = receiver.requests
    assert (request.method, request.path, request.content_type) == ("POST", "/hook", "application/json")
    assert bodies(receiver) == [
        {
            "type": "record",
            "timestamp": "2026-09-01T08:00:00Z",
            "data": {
                "run": {
                    "id": str(RUN.id),
                    "sync_job_id": str(RUN.sync_job_id),
                    "integrated_account_id": str(RUN.integrated_account_id),
                    "attempt": 1,
                    "sequence": 1,
                },
                "resource": "rooms",
                "record": {"code": "1.23"},
            },
        }
    ]


async def test_any_receiver_of_standard_webhooks_can_verify_it(receiver: Web, webhook: Make) -> None:
    """The specification's own library, which looks at the machine's clock."""
    await webhook(system_clock).send("record", {"record": {"name": "Algoritmen é"}})
    (request,), (body,) = receiver.requests, receiver.bodies
    assert Verifier(SECRET).verify(body, dict(request.headers))["type"] == "record"
    with pytest.raises(Exception, match="signature"):
        Verifier(SECRET).verify(body.replace(b"record", b"recard"), dict(request.headers))
    with pytest.raises(Exception, match="signature"):
        Verifier("whsec_" + b64encode(bytes(32)).decode()).verify(body, dict(request.headers))


async def test_each_attempt_is_signed_anew_and_has_the_same_id(
    receiver: Web, webhook: Make, clock: SettableClock
) -> None:
    receiver.script = [json({}, 500), json({}, 404), json({})]
    await webhook().send("started", {})
    assert len(set(ids(receiver))) == 1
    assert len(set(receiver.bodies)) == 1
    moments = [int(request.headers["webhook-timestamp"]) for request in receiver.requests]
    assert moments == [int(datetime(2026, 9, 1, 8, tzinfo=UTC).timestamp()) + passed for passed in (0, 1, 3)]
    assert len({request.headers["webhook-signature"] for request in receiver.requests}) == 3


async def test_pauses_between_attempts_double(receiver: Web, webhook: Make, pauses: list[float]) -> None:
    receiver.answer = lambda _: json({}, 500)
    with pytest.raises(DeliveryFailed, match=r"500.*12 times"):
        await webhook(attempts=12).send("record", {})
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


@pytest.mark.parametrize(
    ("value", "pause"), [("60", 60), ("0", 1), ("Tue, 01 Sep 2026 08:02:00 GMT", 120), ("later", 1)]
)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_that_asks_for_a_rest_gets_it(
    receiver: Web, webhook: Make, pauses: list[float], status: int, value: str, pause: float
) -> None:
    receiver.script = [json({}, status, Retry_After=value)]
    await webhook().send("record", {})
    assert pauses == [pause]


async def test_one_that_asks_for_too_long_a_rest_has_failed(receiver: Web, webhook: Make) -> None:
    receiver.script = [json({}, 429, Retry_After="901")]
    with pytest.raises(DeliveryFailed, match="max_wait_seconds"):
        await webhook().send("record", {})


async def test_events_are_sent_one_after_the_other_in_the_order_of_the_calls(
    receiver: Web, webhook: Make
) -> None:
    open_now = most_open = 0

    async def slow(_: web.Request) -> web.Response:
        nonlocal open_now, most_open
        open_now += 1
        most_open = max(most_open, open_now)
        for _ in range(10):
            await asyncio.sleep(0)
        open_now -= 1
        return json({})

    receiver.script = [json({}, 500)]
    receiver.answer = slow
    hook = webhook()
    await asyncio.gather(*(hook.send("record", {"number": number}) for number in range(6)))
    numbers = [body["data"]["number"] for body in bodies(receiver)]
    assert numbers == [0, 0, 1, 2, 3, 4, 5]
    assert most_open == 1
    assert [body["data"]["run"]["sequence"] for body in bodies(receiver)] == [1, 1, 2, 3, 4, 5, 6]
    assert len(set(ids(receiver))) == 6


async def test_after_one_that_was_not_taken_nothing_more_is_sent(receiver: Web, webhook: Make) -> None:
    """Not even the last word: what comes after a gap is not in order."""
    hook = webhook()
    await hook.send("started", {})
    receiver.script = [json({}, 500) for _ in range(4)]
    together = [hook.send("record", {"number": number}) for number in range(3)]
    results = await asyncio.gather(*together, return_exceptions=True)
    assert [type(result) for result in results] == [DeliveryFailed] * 3
    with pytest.raises(DeliveryFailed, match=r"500.*4 times"):
        await hook.send("failed", {})
    assert [body["data"]["run"]["sequence"] for body in bodies(receiver)] == [1, 2, 2, 2, 2]


async def test_one_whose_sender_was_cancelled_comes_before_the_next(receiver: Web, webhook: Make) -> None:
    """As the last word of a run that is cancelled: without a gap before it."""
    asked, over = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        asked.set()
        await over.wait()
        return json({})

    hook = webhook()
    receiver.script = [json({}), slow]
    await hook.send("started", {})
    sending = [asyncio.create_task(hook.send("record", {"number": number})) for number in range(2)]
    async with asyncio.timeout(30):
        await asked.wait()
    for task in sending:
        task.cancel()
    await asyncio.wait(sending)
    await hook.send("failed", {})
    over.set()
    assert [(body["type"], body["data"]["run"]["sequence"]) for body in bodies(receiver)] == [
        ("started", 1),
        ("record", 2),
        ("record", 2),
        ("failed", 3),
    ]
    assert len(set(ids(receiver))) == 3


async def test_ids_differ_between_beginnings_of_a_run(receiver: Web, webhook: Make) -> None:
    await webhook().send("started", {})
    again = webhook()
    again._run = msgspec.structs.replace(RUN, fence=8)
    await again.send("started", {})
    assert len(set(ids(receiver))) == 2


@pytest.mark.parametrize("answer", [json({}, 410), redirect("http://127.0.0.1:1/"), redirect("/new", 308)])
async def test_an_answer_that_will_not_change_is_not_asked_for_again(
    receiver: Web, webhook: Make, answer: web.Response
) -> None:
    receiver.script = [answer]
    with pytest.raises(DeliveryFailed) as failed:
        await webhook().send("record", {})
    assert len(receiver.requests) == 1
    assert SECRET not in failed.value.message
    assert receiver.url not in failed.value.message


async def test_a_receiver_in_a_private_network_has_to_be_allowed(receiver: Web, webhook: Make) -> None:
    with pytest.raises(DeliveryFailed, match="allowed_networks"):
        await webhook(allowed=()).send("record", {})
    assert receiver.requests == []


async def test_a_run_has_the_configured_webhook_or_none(receiver: Web, clock: SettableClock) -> None:
    settings = WebhookSettings(url=receiver.url, secret=SECRET)
    config = Config(sources=SourceSettings(allowed_networks=LOOPBACK, webhook=settings))
    async with open_sources(config, clock) as sources, sources.webhook(RUN) as hook:
        assert hook is not None
        await hook.send("completed", {})
    async with open_sources(Config(), clock) as sources, sources.webhook(RUN) as none:
        assert none is None
    assert [body["type"] for body in bodies(receiver)] == ["completed"]
