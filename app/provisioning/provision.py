"""Giving a user a synchronization of a mailbox (CONTRACT §4, ``PUT /synchronizations``)."""

import asyncio
from collections.abc import Mapping

import asyncpg

from app.clock import Clock
from app.database.queries import query
from app.database.types import Connection, Pool
from app.errors import Invalid, NoAccess
from app.preferences import effect
from app.provisioning.addresses import is_address
from app.provisioning.synchronizations import Synchronization, find
from app.provisioning.text import is_username
from app.sync.pacing import Pacer
from app.sync.wake import wake_mailboxes
from providers.adapter import Adapter
from providers.contract import Gone, Mailbox, ProviderError, Refused, Throttled

__all__ = ["provision"]


async def provision(
    pool: Pool,
    adapters: Mapping[str, Adapter],
    clock: Clock,
    *,
    username: str,
    type: str,
    address: str,
    probe_seconds: float,
) -> Synchronization:
    """The user's synchronization of the mailbox at this address, made if there is none yet.

    Access is proven first, for at most ``probe_seconds``. A provider that does not answer in time, is
    throttling, or does not accept our account is no reason to refuse: a worker finds out later.

    The same mailbox, by whichever of its addresses, is the same synchronization: what the provider
    calls the mailbox decides, and where that is not known, the address.

    Raises Invalid (unknown user or type, no valid address) and NoAccess.
    """
    adapter = adapters.get(type)
    if adapter is None:
        known = ", ".join(sorted(adapters)) or "none"
        what = "not configured on this instance" if type else "missing"
        raise Invalid("unknown_type", f"type: {what}. Configured: {known}.")
    if not is_address(address):
        raise Invalid(
            "invalid_address",
            "provisioning_smtpAddress: expected a mailbox address such as alice@uni.example.",
        )
    if not username:
        raise Invalid("unknown_user", "username: missing.")
    if not is_username(username) or not await pool.fetchval(query("users.exists"), username):
        raise _unknown_user()
    identity = None
    pacer = Pacer(pool, adapter)
    # While the provider has asked us to wait, it is not asked.
    if await pacer.blocked(Mailbox(address=address, identity=address), clock()) is None:
        try:
            async with asyncio.timeout(probe_seconds):
                identity = await _probe(adapter, pacer, address)
        except TimeoutError:
            identity = None
    renamed = set[int]()
    if identity is not None:
        renamed = await _renamed(pool, adapter, pacer, username, address, identity, probe_seconds)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(query("synchronizations.lock_pair"), username, type)
        if not await connection.fetchval(query("users.hold"), username):
            raise _unknown_user()
        await effect.hold(connection)
        # While the mailboxes are held, nobody else ends a synchronization that leads to one of them.
        rows = await connection.fetch(query("synchronizations.of_type"), username, type)
        await connection.execute(query("unlinks.hold_mailboxes"), [row["id"] for row in rows])
        if identity is not None:
            await _rename(connection, username, type, address, identity, renamed, clock)
        for row in await connection.fetch(query("synchronizations.of_type"), username, type):
            if row["identity"] == identity if identity else _same(row["address"], address):
                await _again(connection, row, address, identity, clock)
                return await find(connection, row["id"])
        mailbox_id = await _mailbox(connection, type, address, identity)
        id: int = await connection.fetchval(
            query("synchronizations.create"), username, type, mailbox_id, address, clock()
        )
        await effect.inherit(connection, clock(), username)
        await wake_mailboxes(connection, [mailbox_id], clock())
        return await find(connection, id)


def _unknown_user() -> Invalid:
    return Invalid("unknown_user", "username: there is no such user. Create it first: PUT /users/{username}.")


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


async def _probe(adapter: Adapter, pacer: Pacer, address: str) -> str | None:
    """The identity of the mailbox, or None if the provider cannot say now. Raises NoAccess.

    If the provider asks to wait, that holds for everybody from now on.
    """
    try:
        return (await adapter.probe(address)).identity
    except ProviderError as error:
        match error.outcome:
            case Gone(reason=reason):
                raise NoAccess("mailbox_not_found", f"No such mailbox: {reason}") from error
            case Refused(scope="mailbox" | "event", reason=reason):
                raise NoAccess("no_access", f"No access to the mailbox: {reason}") from error
            case Throttled(until=until, scope=scope):
                await pacer.block(Mailbox(address=address, identity=address), scope, until)
                return None
            case _:
                return None


async def _renamed(
    pool: Pool,
    adapter: Adapter,
    pacer: Pacer,
    username: str,
    address: str,
    identity: str,
    seconds: float,
) -> set[int]:
    """The user's mailboxes of this type that the provider has come to call ``identity``.

    Only asked of the provider where none has that identity yet, once, for at most ``seconds``.
    """
    rows = await pool.fetch(query("synchronizations.of_type"), username, adapter.type)
    if any(row["identity"] == identity for row in rows):
        return set()
    renamed = set[int]()
    try:
        async with asyncio.timeout(seconds):
            for row in rows:
                if not _same(row["address"], address) and await _answers(
                    adapter, pacer, row["address"], identity
                ):
                    renamed.add(row["mailbox_id"])
    except TimeoutError:
        pass  # then it counts as another mailbox, which it most often is
    return renamed


async def _answers(adapter: Adapter, pacer: Pacer, address: str, identity: str) -> bool:
    try:
        return await _probe(adapter, pacer, address) == identity
    except NoAccess:
        return False


async def _again(
    connection: Connection, row: "asyncpg.Record", address: str, identity: str | None, clock: Clock
) -> None:
    """Bring the synchronization that there is up to date; its mailbox is woken if that changes anything."""
    changed = row["address"] != address
    if changed:
        await connection.execute(query("synchronizations.readdress"), row["id"], address)
    if identity and await connection.fetchval(query("synchronizations.reachable"), row["id"]):
        changed = True
    if changed:
        await wake_mailboxes(connection, [row["mailbox_id"]], clock())


async def _rename(
    connection: Connection,
    username: str,
    type: str,
    address: str,
    identity: str,
    renamed: set[int],
    clock: Clock,
) -> None:
    """Note that the user's mailboxes at this address, and those in ``renamed``, are called ``identity``.

    If we know a mailbox by that identity already, they are one, and what is known of either is
    put together. Whoever writes into the former one loses its lease and does so no more.
    """
    for row in await connection.fetch(query("synchronizations.of_type"), username, type):
        mailbox_id: int = row["mailbox_id"]
        if row["identity"] == identity or not (_same(row["address"], address) or mailbox_id in renamed):
            continue
        known: int | None = await connection.fetchval(query("mailboxes.identify"), mailbox_id, identity)
        if known is None:
            await wake_mailboxes(connection, [mailbox_id], clock())
            continue
        now = clock()
        await connection.execute(query("mailboxes.merge"), mailbox_id, known, now)
        await connection.execute(query("synchronizations.move_calendars"), mailbox_id, known)
        await connection.execute(query("synchronizations.move_ledger"), mailbox_id, known)
        await connection.execute(query("mailboxes.retire"), mailbox_id)
        await connection.execute(query("reports.merged"), known, now)
        await connection.execute(query("runs.visited"), mailbox_id, 2**62, now, None)
        await wake_mailboxes(connection, [known], now)


async def _mailbox(connection: Connection, type: str, address: str, identity: str | None) -> int:
    """The id of the mailbox, made if need be."""
    if identity is not None:
        id: int = await connection.fetchval(
            query("synchronizations.mailbox_by_identity"), type, address, identity
        )
        return id
    await connection.execute(query("synchronizations.lock_address"), type, address)
    found: int | None = await connection.fetchval(query("synchronizations.mailbox_by_address"), type, address)
    if found is not None:
        return found
    made: int = await connection.fetchval(query("synchronizations.unreached_mailbox"), type, address)
    return made
