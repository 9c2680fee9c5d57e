"""The checks of ``rooster doctor``: each says what is right, or what is wrong and what to do about it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple
from uuid import UUID

import msgspec

from app.adapters import open_adapters
from app.clock import Clock
from app.config import Config, Providers
from app.database.connect import open_database
from app.database.migrate import check, migrations
from app.database.queries import query
from app.errors import RoosterError
from app.sources.integrations import open_sources
from app.sources.secrets import KEY_FILE, Undecipherable, find_vault
from providers.adapter import Adapter
from providers.contract import Gone, ProviderError, Refused, Throttled

__all__ = ["TYPES", "Finding", "examine"]

TYPES: tuple[str, ...] = Providers.__struct_fields__
"""The synchronization types that can be configured."""

NO_SUCH_MAILBOX = "rooster-doctor-no-such-mailbox"
"""Asked for where no mailbox is known: "there is none" is an answer that only good credentials get."""


class Finding(NamedTuple):
    """One line of the examination. ``detail`` holds no secret; if not ``ok``, it says what to do."""

    subject: str
    ok: bool
    detail: str


async def examine(config: Config, mailboxes: Mapping[str, str], clock: Clock) -> AsyncIterator[Finding]:
    """Check everything; each finding as soon as it is known.

    ``mailboxes``: by synchronization type, the address of a mailbox to try. For other types, one that
    is provisioned already is tried.
    """
    yield _instance(config)
    database, known, credentials = await _database(config)
    yield database
    if credentials or config.sources.encryption_key is not None or config.sources.ca_file is not None:
        yield await _sources(config, credentials, clock)
    configured = [type_ for type_ in TYPES if getattr(config.providers, type_) is not None]
    if not configured:
        yield Finding("providers", False, f"none is configured: add [providers.{'|'.join(TYPES)}]")
    for type_ in mailboxes:
        if type_ not in configured:
            yield Finding(
                type_, False, f"is not configured: add [providers.{type_}], or try no mailbox of it"
            )
    for type_ in configured:
        yield await _provider(config, type_, mailboxes.get(type_) or known.get(type_), clock)


def _instance(config: Config) -> Finding:
    try:
        return Finding("instance", True, config.require_instance())
    except RoosterError as error:
        return Finding("instance", False, error.message)


async def _database(config: Config) -> tuple[Finding, dict[str, str], dict[UUID, bytes]]:
    """The finding; by type the address of a mailbox that is in use; credentials of sources, encrypted."""
    try:
        async with open_database(config, max_size=1) as pool, pool.acquire() as connection:
            await check(connection)
            server = await connection.fetchval("SHOW server_version")
            known = {
                type_: await connection.fetchval(query("doctor.known_mailbox"), type_) for type_ in TYPES
            }
            rows = await connection.fetch(query("doctor.credentials"))
    except RoosterError as error:
        return Finding("database", False, error.message), {}, {}
    where = "as configured" if config.database.url else f"embedded, in {config.data_path}"
    detail = f"PostgreSQL {server} ({where}), schema {migrations()[-1].version}"
    addresses = {type_: address for type_, address in known.items() if address}
    return Finding("database", True, detail), addresses, {row["id"]: row["credentials"] for row in rows}


async def _sources(config: Config, credentials: Mapping[UUID, bytes], clock: Clock) -> Finding:
    """Whether the key of sources reads what was encrypted: all of it, since keys may have been mixed.

    And whether their certificates can be read.
    """
    try:
        async with open_sources(config, clock):
            vault = find_vault(config)
    except RoosterError as error:
        return Finding("sources", False, error.message)
    if vault is None:
        return Finding(
            "sources",
            False,
            f"the key of {len(credentials)} stored credentials is gone: put {KEY_FILE} back into"
            f" {config.data_path}, or set the credentials of the integrated accounts anew",
        )
    unreadable = []
    for account, stored in credentials.items():
        try:
            vault.decrypt(stored, account)
        except Undecipherable as error:
            unreadable.append(error.message)
    if unreadable:
        more = f" (and those of {len(unreadable) - 1} more)" if len(unreadable) > 1 else ""
        return Finding("sources", False, unreadable[0] + more)
    return Finding(
        "sources", True, f"the encryption key fits; {len(credentials)} stored credentials are readable"
    )


async def _provider(config: Config, type_: str, address: str | None, clock: Clock) -> Finding:
    alone = Providers(**{type_: getattr(config.providers, type_)})
    try:
        async with open_adapters(msgspec.structs.replace(config, providers=alone), clock) as adapters:
            return await _probe(adapters[type_], address, config)
    except ProviderError as error:
        return _judge(type_, error.outcome, address)
    except RoosterError as error:
        return Finding(type_, False, error.message)


async def _probe(adapter: Adapter, address: str | None, config: Config) -> Finding:
    seconds = config.sync.probe_timeout_seconds
    tried = address or f"{NO_SUCH_MAILBOX}@{config.instance or 'example.invalid'}"
    try:
        async with asyncio.timeout(seconds):
            await adapter.probe(tried)
    except TimeoutError:
        return Finding(
            adapter.type, False, f"no answer within {seconds} seconds: check the URL and the network"
        )
    return Finding(adapter.type, True, f"events can be written to {tried}")


def _judge(type_: str, outcome: object, address: str | None) -> Finding:
    """What a provider's answer to the probe says. ``address``: a mailbox that should be there."""
    match outcome:
        case Refused(scope="account", reason=reason):
            section = f"[providers.{type_}]"
            return Finding(type_, False, reason if section in reason else f"{reason} See {section}")
        case Gone() | Refused() if address is None:
            return Finding(
                type_, True, f"credentials are accepted; to try a mailbox: --mailbox {type_}=ADDRESS"
            )
        case Throttled(until=until):
            return Finding(
                type_, True, f"credentials are accepted; asks to wait until {until:%Y-%m-%d %H:%M:%S}Z"
            )
        case Gone(reason=reason):
            return Finding(type_, False, f"{address}: {reason} To try another: --mailbox {type_}=ADDRESS")
        case Refused(reason=reason):
            advice = f"Give the account of [providers.{type_}] access to this mailbox"
            return Finding(type_, False, f"{address}: {reason} {advice}")
        case _:
            reason = getattr(outcome, "reason", "no answer")
            return Finding(
                type_, False, f"{reason} Check the URL, the network and ca_file in [providers.{type_}]"
            )
