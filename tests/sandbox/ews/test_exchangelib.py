"""exchangelib, unmodified, against the sandbox over TLS, as anybody would use it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from exchangelib import (
    DELEGATE,
    IMPERSONATION,
    UTC,
    Account,
    CalendarItem,
    Configuration,
    Credentials,
    EWSDate,
    EWSDateTime,
    EWSTimeZone,
    FailFast,
    Q,
)
from exchangelib.errors import (
    ErrorImpersonateUserDenied,
    ErrorIrresolvableConflict,
    ErrorItemNotFound,
    ErrorNonExistentMailbox,
    ErrorServerBusy,
    UnauthorizedError,
)
from exchangelib.extended_properties import ExtendedProperty
from exchangelib.items import HARD_DELETE, NEVER_OVERWRITE, SEND_TO_NONE
from exchangelib.protocol import BaseProtocol, CachingProtocol
from requests.adapters import HTTPAdapter

from providers.sandbox.server import Sandbox
from providers.sandbox.state import Fault
from tests.sandbox.ews.soap import ALICE, GUID, SCHEMAS

AMSTERDAM = EWSTimeZone("Europe/Amsterdam")


class Attempt(ExtendedProperty):  # type: ignore[misc]
    property_set_id = GUID
    property_name = "SandboxTestAttempt"
    property_type = "String"


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    CalendarItem.register("sandbox_test_attempt", Attempt)
    yield
    CalendarItem.deregister("sandbox_test_attempt")
    CachingProtocol.clear_cache()


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """The sandbox, checking what exchangelib sends and gets by Microsoft's schemas where they are."""
    async with Sandbox(schemas=SCHEMAS if SCHEMAS.is_dir() else None) as running:
        yield running
        assert running.state.violations == []


def trust_by_adapter(monkeypatch: pytest.MonkeyPatch, ca_file: Path) -> None:
    """The way that exchangelib's documentation shows for a private CA."""

    class PrivateAuthority(HTTPAdapter):
        def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
            super().cert_verify(conn, url, str(ca_file), cert)  # type: ignore[no-untyped-call]

        def get_connection_with_tls_context(self, request: Any, verify: Any, **others: Any) -> Any:
            return super().get_connection_with_tls_context(request, str(ca_file), **others)

    monkeypatch.setattr(BaseProtocol, "HTTP_ADAPTER_CLS", PrivateAuthority)


def trust_by_environment(monkeypatch: pytest.MonkeyPatch, ca_file: Path) -> None:
    """The way of requests, which is underneath."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))


class Mail:
    """exchangelib's accounts in the sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.state = sandbox.state

    @contextmanager
    def account(
        self, address: str = ALICE, access_type: str = IMPERSONATION, password: str | None = None
    ) -> Iterator[Any]:
        known = self.state.credentials
        config = Configuration(
            service_endpoint=f"{self.sandbox.url}/EWS/Exchange.asmx",
            credentials=Credentials(known.ews_username, password or known.ews_password),
            retry_policy=FailFast(),
            auth_type="basic",
        )
        try:
            yield Account(
                address,
                config=config,
                autodiscover=False,
                access_type=access_type,
                default_timezone=AMSTERDAM,
            )
        finally:
            CachingProtocol.clear_cache()


@pytest.fixture
def mail(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Mail:
    trust_by_adapter(monkeypatch, sandbox.ca_file)
    return Mail(sandbox)


def event(account: Any, subject: str = "Lecture", **fields: Any) -> Any:
    values = {
        "folder": account.calendar,
        "start": EWSDateTime(2026, 9, 1, 9, tzinfo=AMSTERDAM),
        "end": EWSDateTime(2026, 9, 1, 11, tzinfo=AMSTERDAM),
        **fields,
    }
    return CalendarItem(account=account, subject=subject, **values)


@pytest.mark.parametrize("trust", [trust_by_adapter, trust_by_environment])
async def test_log_in_create_find_update_delete(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, trust: Callable[[pytest.MonkeyPatch, Path], None]
) -> None:
    trust(monkeypatch, sandbox.ca_file)

    def use() -> None:
        with Mail(sandbox).account() as account:
            assert account.version.api_version == "Exchange2016"
            made = event(
                account,
                "Analyse & <Maß>",
                body="one\ntwo",
                location="Room 1",
                categories=["Lectures"],
                legacy_free_busy_status="Tentative",
                reminder_is_set=False,
                sandbox_test_attempt="0001",
            ).save(send_meeting_invitations=SEND_TO_NONE)

            found = account.calendar.get(sandbox_test_attempt="0001")
            assert (found.id, found.changekey) == (made.id, made.changekey)
            assert (found.subject, found.body, found.location) == ("Analyse & <Maß>", "one\ntwo", "Room 1")
            assert found.categories == ["Lectures"]
            assert found.start == EWSDateTime(2026, 9, 1, 7, tzinfo=UTC)
            assert found.legacy_free_busy_status == "Tentative"
            assert found.reminder_is_set is False

            found.location = "Room 2"
            found.save(update_fields=["location"], send_meeting_invitations=SEND_TO_NONE)
            assert found.changekey != made.changekey
            assert [one.location for one in account.calendar.all().only("location")] == ["Room 2"]

            found.delete(send_meeting_cancellations=SEND_TO_NONE)
            assert account.calendar.all().count() == 0

    await asyncio.to_thread(use)


async def test_without_the_authority_there_is_no_connection(sandbox: Sandbox) -> None:
    def use() -> None:
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"), Mail(sandbox).account() as account:
            account.calendar.refresh()

    await asyncio.to_thread(use)


async def test_all_day_events(mail: Mail) -> None:
    def use() -> None:
        with mail.account() as account:
            day = event(account, start=EWSDate(2026, 3, 29), end=EWSDate(2026, 3, 30), is_all_day=True)
            day.save(send_meeting_invitations=SEND_TO_NONE)
            found = account.calendar.get(subject="Lecture")
            assert (found.is_all_day, found.start, found.end) == (
                True,
                EWSDate(2026, 3, 29),
                EWSDate(2026, 3, 30),
            )

    await asyncio.to_thread(use)


async def test_batches_and_pages(mail: Mail) -> None:
    def use() -> None:
        with mail.account() as account:
            events = [event(account, f"{n:03}", sandbox_test_attempt=f"x{n:03}") for n in range(260)]
            made = account.bulk_create(account.calendar, events, send_meeting_invitations=SEND_TO_NONE)
            assert len({one.id for one in made}) == 260
            some = account.calendar.filter(
                Q(sandbox_test_attempt="x001") | Q(sandbox_test_attempt="x002"), subject__startswith="0"
            )
            assert [one.subject for one in some.order_by("-subject").only("subject")] == ["002", "001"]
            attempts = account.calendar.filter(sandbox_test_attempt__exists=True).only("sandbox_test_attempt")
            assert sorted(one.sandbox_test_attempt for one in attempts) == [f"x{n:03}" for n in range(260)]
            gone = account.bulk_delete(made, delete_type=HARD_DELETE, send_meeting_cancellations=SEND_TO_NONE)
            assert gone == [True] * 260

    await asyncio.to_thread(use)
    assert mail.state.stats.operations["ews", "create"] == 260
    assert mail.state.stats.operations["ews", "mail"] == 0


async def test_views(mail: Mail) -> None:
    def use() -> None:
        with mail.account() as account:
            event(account).save(send_meeting_invitations=SEND_TO_NONE)
            start, end = (EWSDateTime(2026, 9, day, tzinfo=AMSTERDAM) for day in (1, 2))
            assert [one.subject for one in account.calendar.view(start, end)] == ["Lecture"]
            assert list(account.calendar.view(end, end.replace(day=3))) == []

    await asyncio.to_thread(use)


async def test_conflicts_and_what_is_not_there(mail: Mail) -> None:
    def use() -> None:
        with mail.account() as account:
            made = event(account).save(send_meeting_invitations=SEND_TO_NONE)
            other = account.calendar.get(subject="Lecture")
            other.subject = "Theirs"
            other.save(update_fields=["subject"], send_meeting_invitations=SEND_TO_NONE)
            made.subject = "Mine"
            with pytest.raises(ErrorIrresolvableConflict):
                made.save(
                    update_fields=["subject"],
                    conflict_resolution=NEVER_OVERWRITE,
                    send_meeting_invitations=SEND_TO_NONE,
                )
            other.delete(send_meeting_cancellations=SEND_TO_NONE)
            made.account, made.folder = account, account.calendar
            with pytest.raises(ErrorItemNotFound):
                made.delete(send_meeting_cancellations=SEND_TO_NONE)

    await asyncio.to_thread(use)


async def test_delegate_access(mail: Mail) -> None:
    def use() -> None:
        with mail.account(access_type=DELEGATE) as account:
            event(account).save(send_meeting_invitations=SEND_TO_NONE)
            assert account.calendar.all().count() == 1

    await asyncio.to_thread(use)
    mailbox = mail.state.mailbox("ews", ALICE)
    assert mailbox is not None
    assert len(mailbox.events) == 1


async def test_who_is_not_let_in(mail: Mail) -> None:
    mail.state.add_mailbox("ews", "closed@uni.example").access = False

    def use() -> None:
        for address, password, error in (
            ("nobody@elsewhere.example", None, ErrorNonExistentMailbox),
            ("closed@uni.example", None, ErrorImpersonateUserDenied),
            (ALICE, "wrong", UnauthorizedError),
        ):
            with pytest.raises(error), mail.account(address, password=password) as account:
                account.calendar.refresh()

    await asyncio.to_thread(use)


async def test_throttling_says_for_how_long(mail: Mail) -> None:
    mail.state.faults.add(Fault(type="ews", fault="throttle", operation="create", retry_after=12.5, times=1))

    def use() -> None:
        with mail.account() as account:
            with pytest.raises(ErrorServerBusy) as busy:
                event(account).save(send_meeting_invitations=SEND_TO_NONE)
            assert busy.value.back_off == 12.5
            event(account).save(send_meeting_invitations=SEND_TO_NONE)

    await asyncio.to_thread(use)


async def test_folders_zones_and_names(mail: Mail) -> None:
    def use() -> None:
        with mail.account() as account:
            assert (account.root / "Top of Information Store" / "Calendar").id == account.calendar.id
            zones = list(account.protocol.get_timezones(return_full_timezone_data=True))
            (europe,) = (zone for zone in zones if zone.id == "W. Europe Standard Time")
            winter, summer, _ = europe.get_std_and_dst(for_year=2026)
            assert (winter.iso_month, summer.iso_month) == (10, 3)
            (found,) = account.protocol.resolve_names([ALICE])
            assert found.email_address == ALICE

    await asyncio.to_thread(use)
