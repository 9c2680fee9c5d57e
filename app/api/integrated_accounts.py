"""``/api/v1/integrated-account``: the connections of integrations. Credentials go in and never out."""

from litestar import Response, delete, get, patch, post

from app.api.auth import admin_only, staff_only
from app.api.dependencies import InjectedClock, InjectedConfig, InjectedIntegrations, InjectedPool
from app.api.openapi import problems
from app.api.paging import Cursor, Limit
from app.api.select import Select, Selection
from app.api.source_bodies import AnyRequest, Environment, Id, body_operation, patch_operation, read_body
from app.config import Config, ConfigError
from app.errors import Conflict
from app.sources import accounts
from app.sources.accounts import AccountForm, IntegratedAccount, IntegratedAccountPage
from app.sources.secrets import Vault, open_vault

__all__ = ["integrated_account_handlers"]

TAGS = ["Sources"]

EXAMPLE = {
    "integration_name": "mytimetable",
    "base_url": "https://timetable.uni.example",
    "credentials": {"api_token": "…"},
}


@post(
    "/integrated-account",
    guards=[admin_only],
    tags=TAGS,
    summary="Connect an integration",
    description="The credentials are encrypted before they are stored, and never given out.",
    operation_class=body_operation(AccountForm, EXAMPLE),
    responses=problems(409, 413, 422),
)
async def create_integrated_account(
    request: AnyRequest,
    pool: InjectedPool,
    config: InjectedConfig,
    integrations: InjectedIntegrations,
    clock: InjectedClock,
) -> IntegratedAccount:
    data = await read_body(request)
    return await accounts.create(pool, _vault(config), data, integrations, clock())


@get(
    "/integrated-account",
    guards=[staff_only],
    tags=TAGS,
    summary="All integrated accounts",
    responses=problems(),
)
async def list_integrated_accounts(
    pool: InjectedPool,
    environment_id: Environment = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    select: Select = None,
) -> Response[IntegratedAccountPage]:
    selection = Selection(IntegratedAccountPage, select, "integrated_accounts")
    return selection.of(await accounts.page(pool, limit, cursor, environment=environment_id))


@get(
    "/integrated-account/{id:uuid}",
    guards=[staff_only],
    tags=TAGS,
    summary="An integrated account, without its credentials",
    responses=problems(404),
)
async def get_integrated_account(
    id: Id, pool: InjectedPool, select: Select = None
) -> Response[IntegratedAccount]:
    selection = Selection(IntegratedAccount, select)
    return selection.of(await accounts.find(pool, id))


@patch(
    "/integrated-account/{id:uuid}",
    guards=[admin_only],
    tags=TAGS,
    summary="Change an integrated account",
    description="A merge patch (RFC 7396): credentials that are not named stay, null forgets one, or all of"
    " them. The next run reads everything anew.",
    operation_class=patch_operation(AccountForm, {"credentials": {"api_token": "…"}}),
    responses=problems(404, 409, 413, 422),
)
async def patch_integrated_account(
    id: Id,
    request: AnyRequest,
    pool: InjectedPool,
    config: InjectedConfig,
    integrations: InjectedIntegrations,
    clock: InjectedClock,
) -> IntegratedAccount:
    data = await read_body(request)
    return await accounts.change(pool, _vault(config), id, data, integrations, clock())


@delete(
    "/integrated-account/{id:uuid}",
    guards=[admin_only],
    tags=TAGS,
    summary="Delete an integrated account, its triggers and its runs",
    description="Timetables stay as they are. Not while a run of it has not ended.",
    responses=problems(404, 409),
)
async def delete_integrated_account(id: Id, pool: InjectedPool) -> None:
    await accounts.delete(pool, id)


def _vault(config: Config) -> Vault:
    """The vault. Raises Conflict, saying what to do, where there is no key."""
    try:
        return open_vault(config)
    except ConfigError as error:
        raise Conflict("no_encryption_key", error.message) from error


integrated_account_handlers = [
    create_integrated_account,
    list_integrated_accounts,
    get_integrated_account,
    patch_integrated_account,
    delete_integrated_account,
]
