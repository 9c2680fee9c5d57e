"""Exchange Web Services: SOAP at ``/EWS/Exchange.asmx``, for calendars ([MS-OXWSMTGS] and its kin)."""

from collections.abc import Callable

from aiohttp import web

from providers.sandbox.ews.dialect import EwsDialect
from providers.sandbox.ews.endpoint import Endpoint
from providers.sandbox.state import Dialect, State

__all__ = ["dialect", "routes"]


def dialect() -> Dialect:
    """How the control API reads and writes Exchange's items."""
    return EwsDialect()


def routes(state: State, base_url: Callable[[], str]) -> list[web.AbstractRouteDef]:
    """The routes of this protocol. ``base_url`` is not needed: EWS answers hold no addresses."""
    return [web.post("/EWS/Exchange.asmx", Endpoint(state).handle)]
