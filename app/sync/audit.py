"""Auditing: what is really in a mailbox, beside what the ledger says. Neither is changed."""

import msgspec

from app.clock import Clock
from app.config import Config
from app.database.types import Pool
from app.sync.mirror import Difference, differences, drift, read_everything
from app.sync.visit import visit
from providers.adapter import Adapter

__all__ = ["Audit", "audit_mailbox"]


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit of one mailbox has found: the events of ours in it, and where the ledger differs."""

    events: int
    differences: list[Difference]


async def audit_mailbox(
    pool: Pool, adapter: Adapter, config: Config, clock: Clock, mailbox_id: int, wait_seconds: float
) -> Audit:
    """Read a mailbox and compare it with the ledger. Raises as ``visit`` does."""
    async with visit(pool, adapter, config, clock, mailbox_id, wait_seconds) as (ledger, mailbox):
        reading, _ = await read_everything(ledger, adapter, mailbox, config.instance, clock)
        found = await drift(ledger, reading)
        return Audit(events=found.events, differences=await differences(ledger, reading))
