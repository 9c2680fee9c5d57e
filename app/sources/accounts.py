"""Integrated accounts in the database: the connections of integrations. Credentials go in and never out."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID, uuid4

import msgspec
from asyncpg import Record
from yarl import URL

from app.database.queries import query
from app.database.types import Connection, Pool
from app.errors import NotFound, Problem
from app.paging import next_cursor, parse_cursor
from app.sources.contract import Account, Integration, Json
from app.sources.fetch import FetchFailed, check_url, same_origin
from app.sources.jobs import refuse_if_active
from app.sources.reading import READ_ONLY, check_text, convert, encode, merge_patch, refuse
from app.sources.secrets import Vault

__all__ = [
    "AccountForm",
    "IntegratedAccount",
    "IntegratedAccountPage",
    "change",
    "create",
    "delete",
    "find",
    "open_account",
    "page",
]

MAX_NAME_LENGTH = 200
MAX_CREDENTIAL_NAME_LENGTH = 300
"""It may end with a username."""
MAX_URL_LENGTH = 2_000
MAX_SECRET_LENGTH = 20_000
MAX_SETTINGS_BYTES = 100_000


class AccountForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller says of an account."""

    integration_name: str
    base_url: str
    """http or https, without user and password, query and fragment."""
    credentials: dict[str, str] = msgspec.field(default_factory=dict)
    """Secrets by name, as the integration defines them. Encrypted in the database, never given out."""
    settings: dict[str, Json] = msgspec.field(default_factory=dict)
    """What is not secret and the integration's own."""
    environment_id: str | None = None
    """The caller's own; kept and returned."""

    def __repr__(self) -> str:
        return f"AccountForm(integration_name={self.integration_name!r})"


class IntegratedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it is given out: of the credentials, only that there are some. Times are in UTC."""

    id: UUID
    integration_name: str
    base_url: str
    settings: dict[str, Json]
    has_credentials: bool
    environment_id: str | None
    created_at: datetime
    updated_at: datetime


class IntegratedAccountPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of accounts, the oldest first; ``next`` is the cursor of the page after it, or null."""

    integrated_accounts: list[IntegratedAccount]
    next: str | None


def not_found() -> NotFound:
    """There is no such account."""
    return NotFound("integrated_account_not_found", "There is no integrated account with this id.")


async def create(
    pool: Pool, vault: Vault, body: Json, integrations: Mapping[str, Integration], now: datetime
) -> IntegratedAccount:
    """A new account by a body. Raises Invalid, naming every place that is wrong."""
    id = uuid4()
    form = _parse(body)
    _check(id, form, integrations)
    row = await pool.fetchrow(
        query("integrated_accounts.create"),
        id,
        form.integration_name,
        form.base_url.rstrip("/"),
        _seal(vault, form.credentials, id),
        encode(form.settings),
        form.environment_id,
        now,
    )
    assert row is not None
    return _account(row)


async def change(
    pool: Pool,
    vault: Vault,
    id: UUID,
    patch: Json,
    integrations: Mapping[str, Integration],
    now: datetime,
) -> IntegratedAccount:
    """Change an account by a merge patch (RFC 7396); credentials that it does not name stay.

    Not where the account moves to another origin: whoever could send them there would come to know them. If
    there was anything to change, the next run reads everything anew. Raises NotFound, Invalid, and
    Undecipherable where the credentials are merged with those that an earlier key encrypted
    (``"credentials": null`` first forgets them).
    """
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(query("integrated_accounts.lock"), id)
        if row is None:
            raise not_found()
        before = {
            "integration_name": row["integration_name"],
            "base_url": row["base_url"],
            "settings": msgspec.json.decode(row["settings"]),
            "environment_id": row["environment_id"],
        }
        stored: dict[str, str] = {}
        if not (isinstance(patch, dict) and patch.get("credentials", "") is None):
            stored = before["credentials"] = _unseal(vault, row)
        after = merge_patch(before, patch)
        form = _parse(after)
        if after == before and "credentials" in before:
            return _account(row)
        if form.integration_name != row["integration_name"]:
            raise refuse(
                [Problem(field="integration_name", detail="It stays as it is: make another account.")]
            )
        _check(id, form, integrations)
        named = patch.get("credentials", {})
        if not stored.keys() <= named.keys() and not same_origin(URL(form.base_url), URL(row["base_url"])):
            detail = (
                "Another server than that which the credentials were given for: name them all in the same"
                " request, each with its value or null."
            )
            raise refuse([Problem(field="base_url", detail=detail)])
        row = await connection.fetchrow(
            query("integrated_accounts.change"),
            id,
            form.base_url.rstrip("/"),
            _seal(vault, form.credentials, id),
            encode(form.settings),
            form.environment_id,
            now,
        )
        assert row is not None
        return _account(row)


async def delete(pool: Pool, id: UUID) -> None:
    """Delete an account, its triggers, its runs and what they have stored; timetables stay as they are.

    Raises NotFound, and ActiveJobRun while a run of it has not ended.
    """
    async with pool.acquire() as connection, connection.transaction():
        if await connection.fetchrow(query("integrated_accounts.lock"), id) is None:
            raise not_found()
        await refuse_if_active(connection, account=id)
        await connection.execute(query("integrated_accounts.delete"), id)


async def find(connection: Connection | Pool, id: UUID) -> IntegratedAccount:
    """An account, without its credentials. Raises NotFound."""
    row = await connection.fetchrow(query("integrated_accounts.find"), id)
    if row is None:
        raise not_found()
    return _account(row)


async def open_account(connection: Connection | Pool, vault: Vault, id: UUID) -> Account:
    """An account with its credentials, for a run. Raises NotFound and Undecipherable."""
    row = await connection.fetchrow(query("integrated_accounts.find"), id)
    if row is None:
        raise not_found()
    return Account(
        id=id,
        integration_name=row["integration_name"],
        base_url=row["base_url"],
        credentials=_unseal(vault, row),
        settings=msgspec.json.decode(row["settings"]),
    )


async def page(
    pool: Pool, limit: int, cursor: str | None, *, environment: str | None = None
) -> IntegratedAccountPage:
    """A page of accounts, of one environment if named. Raises BadRequest for a cursor that is none."""
    rows = await pool.fetch(query("integrated_accounts.page"), parse_cursor(cursor), limit + 1, environment)
    return IntegratedAccountPage(
        integrated_accounts=[_account(row) for row in rows[:limit]],
        next=next_cursor(rows, limit, "number"),
    )


def _account(row: Record) -> IntegratedAccount:
    return IntegratedAccount(
        id=row["id"],
        integration_name=row["integration_name"],
        base_url=row["base_url"],
        settings=msgspec.json.decode(row["settings"]),
        has_credentials=row["credentials"] != b"",
        environment_id=row["environment_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _seal(vault: Vault, credentials: Mapping[str, str], id: UUID) -> bytes:
    """Nothing where there are none."""
    return vault.encrypt(msgspec.json.encode(credentials), id) if credentials else b""


def _unseal(vault: Vault, row: Record) -> dict[str, str]:
    if row["credentials"] == b"":
        return {}
    return msgspec.json.decode(vault.decrypt(row["credentials"], row["id"]), type=dict[str, str])


def _parse(body: Json) -> AccountForm:
    if not isinstance(body, dict):
        raise refuse([Problem(detail="Expected a JSON object.")])
    given = {name: value for name, value in body.items() if name not in READ_ONLY | {"has_credentials"}}
    if isinstance(credentials := given.get("credentials"), dict):
        problems = [
            Problem(field=f"credentials.{name}"[:MAX_NAME_LENGTH], detail="Expected a string.")
            for name, secret in credentials.items()
            if not isinstance(secret, str)
        ]
        if problems:
            raise refuse(problems)
    return convert(given, AccountForm)


def _check(id: UUID, form: AccountForm, integrations: Mapping[str, Integration]) -> None:
    problems = [
        *check_text("base_url", form.base_url, MAX_URL_LENGTH),
        *check_text("environment_id", form.environment_id, MAX_NAME_LENGTH),
    ]
    if not problems and (detail := _check_url(form.base_url)):
        problems.append(Problem(field="base_url", detail=detail))
    for name, secret in form.credentials.items():
        problems += check_text("credentials", name, MAX_CREDENTIAL_NAME_LENGTH)
        if len(secret) > MAX_SECRET_LENGTH:
            detail = f"Longer than {MAX_SECRET_LENGTH} characters."
            problems.append(Problem(field=f"credentials.{name}"[:MAX_NAME_LENGTH], detail=detail))
    if len(encode(form.settings)) > MAX_SETTINGS_BYTES:
        problems.append(Problem(field="settings", detail=f"Longer than {MAX_SETTINGS_BYTES} bytes."))
    integration = integrations.get(form.integration_name)
    if integration is None:
        known = ", ".join(sorted(integrations))
        detail = f"There is no such integration. Known are: {known}."
        problems.append(Problem(field="integration_name", detail=detail))
    elif not problems:
        account = Account(
            id=id,
            integration_name=form.integration_name,
            base_url=form.base_url.rstrip("/"),
            credentials=form.credentials,
            settings=form.settings,
        )
        problems += integration.check_account(account)
    if problems:
        raise refuse(problems)


def _check_url(url: str) -> str | None:
    """What is wrong with a base URL. It is given out, so that it may hold no secret; paths come after it."""
    try:
        check_url(url)
    except FetchFailed as error:
        return error.message
    if " " in url:
        return "Not a URL: it holds a space."
    if "?" in url:
        return (
            "Holds a query: give a key in credentials, and what is no secret in settings or the job's query."
        )
    if "#" in url:
        return "Holds a fragment (#…): leave it out."
    return None
