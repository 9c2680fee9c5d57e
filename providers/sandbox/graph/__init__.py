"""Microsoft Graph v1.0, as far as calendars go: learn.microsoft.com/graph/api/resources/calendar-overview."""

from collections.abc import Callable

from aiohttp import web

from providers.sandbox.graph.dialect import GraphDialect
from providers.sandbox.graph.http import GraphHttp
from providers.sandbox.state import Dialect, State

__all__ = ["dialect", "routes"]


def dialect() -> Dialect:
    """How the control API shows Graph's events."""
    return GraphDialect()


def routes(state: State, base_url: Callable[[], str]) -> list[web.AbstractRouteDef]:
    """Everything under ``/v1.0``."""
    graph = GraphHttp(state, base_url)
    return [
        web.post("/v1.0/$batch", graph.batch),
        web.route("*", "/v1.0/{rest:.*}", graph.single),
    ]
