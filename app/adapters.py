"""The adapters of the configured providers: the one place that knows which there are."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from app.clock import Clock
from app.config import Config
from providers.adapter import Adapter

__all__ = ["open_adapters"]


@asynccontextmanager
async def open_adapters(config: Config, clock: Clock) -> AsyncIterator[dict[str, Adapter]]:
    """An adapter for each provider of the configuration, by synchronization type; closed at the end.

    Nothing is sent to a provider yet. A provider's client library is imported only if it is
    configured: together they take more than a second.
    """
    async with AsyncExitStack() as stack:
        adapters: dict[str, Adapter] = {}
        if config.providers.ews is not None:
            from providers import ews

            adapters["ews"] = await ews.connect(config.providers.ews, clock)
            stack.push_async_callback(adapters["ews"].close)
        if config.providers.o365 is not None:
            from providers import o365

            adapters["o365"] = await o365.connect(config.providers.o365, clock)
            stack.push_async_callback(adapters["o365"].close)
        if config.providers.googlecalendar is not None:
            from providers import googlecalendar

            adapters["googlecalendar"] = await googlecalendar.connect(config.providers.googlecalendar, clock)
            stack.push_async_callback(adapters["googlecalendar"].close)
        yield adapters
