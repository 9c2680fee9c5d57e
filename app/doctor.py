"""The checks of ``rooster doctor``: each says what is right, or what is wrong and what to do about it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import msgspec

from app.adapters import open_adapters
from app.clock import Clock
from app.config import Config, Providers
from app.database.connect import open_database
from app.database.migrate import check, migrations
from app.database.queries import query
from app.errors import RoosterError
from providers.contract import Adapter, Gone, ProviderError, Refused, Throttled

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
    database, known = await _database(config)
    yield database
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


async def _database(config: Config) -> tuple[Finding, dict[str, str]]:
    """The finding, and by type the address of a mailbox that is in use."""
    try:
        async with open_database(config, max_size=1) as pool, pool.acquire() as connection:
            await check(connection)
            server = await connection.fetchval("SHOW server_version")
            known = {
                type_: await connection.fetchval(query("doctor.known_mailbox"), type_) for type_ in TYPES
            }
    except RoosterError as error:
        return Finding("database", False, error.message), {}
    where = "as configured" if config.database.url else f"embedded, in {config.data_path}"
    detail = f"PostgreSQL {server} ({where}), schema {migrations()[-1].version}"
    return Finding("database", True, detail), {type_: address for type_, address in known.items() if address}


async def _provider(config: Config, type_: str, address: str | None, clock: Clock) -> Finding:
    alone = Providers(**{type_: getattr(config.providers, type_)})
    try:
        async with open_adapters(msgspec.structs.replace(config, providers=alone), clock) as adapters:
            return await _probe(adapters[type_], address, config)
    except ProviderError as error:
        return _judge(type_, error.outcome, address)
    except RoosterError as error:
        return Finding(type_, False, error.message)
    except OSError as error:
        return Finding(
            type_, False, f"{error.filename or 'its settings'}: {error.strerror}. See [providers.{type_}]"
        )
    except ValueError as error:  # a key or a certificate that cannot be read
        return Finding(
            type_, False, f"its settings cannot be used ({type(error).__name__}). See [providers.{type_}]"
        )


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
            advice = "Check the address, or try another: --mailbox"
            return Finding(type_, False, f"{address}: {reason} {advice} {type_}=ADDRESS")
        case Refused(reason=reason):
            advice = f"Give the account of [providers.{type_}] access to this mailbox"
            return Finding(type_, False, f"{address}: {reason} {advice}")
        case _:
            reason = getattr(outcome, "reason", "no answer")
            return Finding(
                type_, False, f"{reason} Check the URL, the network and ca_file in [providers.{type_}]"
            )
