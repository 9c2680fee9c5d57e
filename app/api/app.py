"""The HTTP API as one ASGI application."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from litestar import Litestar, Request, Router
from litestar.di import Provide
from litestar.enums import OpenAPIMediaType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from app.api import timetables
from app.api.approval import approval_handlers
from app.api.asgi import EncodedPaths, HeadRequests, Measured, Parameters
from app.api.auth import Authentication, Caller, reader_reads
from app.api.cron_triggers import cron_trigger_handlers
from app.api.documentation import DocumentationPage, YamlDocument
from app.api.errors import V0_PREFIX, exception_handlers
from app.api.health import observing_handlers
from app.api.integrated_accounts import integrated_account_handlers
from app.api.preference_descriptions import preference_description_handlers
from app.api.preferences import preference_handlers
from app.api.refresh import refresh_handlers
from app.api.runs import run_handlers
from app.api.sync_job_runs import sync_job_run_handlers
from app.api.sync_jobs import sync_job_handlers
from app.api.synchronizations import synchronization_handlers
from app.api.v0_synchronizations import v0_synchronization_handlers
from app.api.v0_users import user_handlers
from app.clock import Clock
from app.config import Config
from app.database.types import Pool
from app.provisioning.watching import RunWatcher
from app.sources.contract import Integration
from app.sources.integrations import INTEGRATIONS
from providers.adapter import Adapter

__all__ = ["create_app", "furnish"]

DESCRIPTION = """\
Rooster puts each person's timetable into their mailbox calendar, keeps it true, and takes out exactly \
what it put in. `/api/v0` says who has a synchronization with which mailbox; `/api/v1` takes the \
timetables, and shows what has become of them."""


PARTS = ("pool", "adapters", "config", "clock", "integrations", "watcher")
"""What the application works with; handlers find it under these names."""


def create_app(
    pool: Pool,
    adapters: Mapping[str, Adapter],
    config: Config,
    clock: Clock,
    integrations: Mapping[str, Integration] = INTEGRATIONS,
) -> Litestar:
    """The application. Whoever calls this opens and closes what is given.

    Handlers find it under the names ``pool``, ``adapters``, ``config``, ``clock`` and ``integrations`` (which
    are for checks alone), and who calls as ``caller``.
    """

    def caller(request: Request[Any, Any, Any]) -> Caller:
        found: Caller = request.user
        return found

    app = Litestar(
        route_handlers=[
            Router(V0_PREFIX, route_handlers=[*user_handlers, *v0_synchronization_handlers]),
            Router(
                "/api/v1",
                route_handlers=[
                    *synchronization_handlers,
                    *refresh_handlers,
                    *approval_handlers,
                    *run_handlers,
                    *preference_handlers,
                    *sync_job_handlers,
                    *integrated_account_handlers,
                    *sync_job_run_handlers,
                    *cron_trigger_handlers,
                    *preference_description_handlers,
                    timetables.router,
                ],
            ),
            *observing_handlers,
        ],
        dependencies={
            **{name: Provide(_part(name), sync_to_thread=False) for name in PARTS},
            "caller": Provide(caller, sync_to_thread=False),
        },
        guards=[reader_reads],
        middleware=[Parameters, Authentication],
        exception_handlers=exception_handlers,
        lifespan=[_watching],
        openapi_config=_openapi(),
        logging_config=None,
    )
    app.asgi_handler = Measured(HeadRequests(EncodedPaths(app.asgi_handler)))
    furnish(app, pool, adapters, config, clock, integrations)
    return app


def furnish(
    app: Litestar,
    pool: Pool,
    adapters: Mapping[str, Adapter],
    config: Config,
    clock: Clock,
    integrations: Mapping[str, Integration] = INTEGRATIONS,
) -> None:
    """Let an application that serves nobody work with these from now on; to make another one takes longer."""
    parts = (pool, adapters, config, clock, integrations, RunWatcher(pool))
    app.state.update(zip(PARTS, parts, strict=True))


def _part(name: str) -> Any:
    def provide(request: Request[Any, Any, Any]) -> Any:
        return request.app.state[name]

    return provide


@asynccontextmanager
async def _watching(app: Litestar) -> AsyncIterator[None]:
    """Whoever waits for a run to end waits no longer than the application lives."""
    try:
        yield
    finally:
        await app.state.watcher.close()


def _version() -> str:
    try:
        return version("rooster-timetables")
    except PackageNotFoundError:
        return "0 (not installed)"


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Rooster",
        version=_version(),
        description=DESCRIPTION,
        openapi_router=Router("/schema", route_handlers=[], opt={"public": True}, include_in_schema=False),
        render_plugins=[
            DocumentationPage(path="/"),
            JsonRenderPlugin(path="/openapi.json"),
            YamlDocument(path="/openapi.yaml", media_type=OpenAPIMediaType.OPENAPI_YAML),
        ],
        components=Components(
            security_schemes={
                "apiToken": SecurityScheme(
                    type="apiKey",
                    name="apiToken",
                    security_scheme_in="header",
                    description="The convention of the v0 API. A token with the role frontend also sends"
                    " `requestedAuth: USERNAME`.",
                ),
                "bearer": SecurityScheme(type="http", scheme="bearer"),
            }
        ),
        security=[{"apiToken": []}, {"bearer": []}],
    )
