"""Visiting one mailbox for work that is not a run: taken as a worker takes it, reached as a run does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.clock import Clock
from app.config import Config
from app.database.queries import query
from app.database.types import Pool
from app.errors import Conflict
from app.ledger import Lease, Ledger
from app.sync.claim import claimed
from app.sync.pacing import Pacer
from providers.adapter import Adapter
from providers.contract import Mailbox, ProviderError, Throttled, Unknown

__all__ = ["visit"]


@asynccontextmanager
async def visit(
    pool: Pool, adapter: Adapter, config: Config, clock: Clock, mailbox_id: int, wait_seconds: float
) -> AsyncIterator[tuple[Ledger, Mailbox]]:
    """The ledger of a mailbox under its lease, and the mailbox as the adapter reaches it.

    Raises MailboxBusy after ``wait_seconds``, ProviderError, Conflict (two addresses turn out to be one
    mailbox: a worker joins them first), and LeaseLost. What a provider asks us to wait holds for all workers.
    """
    async with claimed(
        pool, mailbox_id, lease_seconds=config.sync.lease_seconds, wait_seconds=wait_seconds
    ) as lease:
        ledger = Ledger(pool, lease, config.instance)
        pacer = Pacer(pool, adapter)
        mailbox = Mailbox(address=lease.address, identity=lease.identity or lease.address)
        await _require_free(pacer, mailbox, clock)
        try:
            if lease.identity is None:
                mailbox = await _identify(ledger, adapter, lease)
                await _require_free(pacer, mailbox, clock)
            yield ledger, mailbox
        except ProviderError as error:
            if isinstance(error.outcome, Throttled):
                await pacer.block(mailbox, error.outcome.scope, error.outcome.until)
            raise


async def _require_free(pacer: Pacer, mailbox: Mailbox, clock: Clock) -> None:
    """Raises ProviderError where nothing may be sent now."""
    block = await pacer.blocked(mailbox, clock())
    if block is not None and block.because is not None:
        raise ProviderError(Unknown(code="blocked", reason=block.because))
    if block is not None:
        raise ProviderError(Throttled(until=block.until, scope="mailbox"))


async def _identify(ledger: Ledger, adapter: Adapter, lease: Lease) -> Mailbox:
    mailbox = await adapter.probe(lease.address)
    async with ledger.transaction() as (connection, _):
        known = await connection.fetchval(query("mailboxes.identify"), lease.mailbox_id, mailbox.identity)
    if known is not None:
        raise Conflict(
            "mailbox_known",
            "This mailbox is known by another address already: a worker joins the two, then try again.",
        )
    return mailbox
