"""Permits to write, asked for at the last moment before aiohttp writes to a connection.

By then there is a token, the request has got one of the connections that are allowed, and that is open:
nothing that takes time is left between the permit and the request.
"""

from types import SimpleNamespace

import aiohttp

from providers.contract import Permit

__all__ = ["NotPermitted", "asking"]


class NotPermitted(Exception):
    """Carries what the permit raised past aiohttp, which takes some errors for its own."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__()
        self.reason = reason


def asking() -> aiohttp.TraceConfig:
    """Lets a ``ClientSession`` ask the permit that a request carries as its ``trace_request_ctx``.

    The request then raises ``NotPermitted`` if the permit raises, and nothing has been sent.
    """
    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(_ask)
    return config


async def _ask(
    session: aiohttp.ClientSession, context: SimpleNamespace, _: aiohttp.TraceRequestHeadersSentParams
) -> None:
    """Called by aiohttp right before it writes the headers."""
    permit: Permit | None = context.trace_request_ctx
    if permit is None:
        return
    try:
        permit()
    except BaseException as error:
        raise NotPermitted(error) from error
