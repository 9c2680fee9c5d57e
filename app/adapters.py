"""The adapters of the configured providers: the one place that knows which there are."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from app.clock import Clock
from app.config import Config, ConfigError
from providers.adapter import Adapter
from providers.settings import SettingsError

__all__ = ["open_adapters"]


@asynccontextmanager
async def open_adapters(config: Config, clock: Clock) -> AsyncIterator[dict[str, Adapter]]:
    """An adapter for each provider of the configuration, by synchronization type; closed at the end.

    Nothing is sent to a provider yet. A provider's client library is imported only if it is
    configured: together they take more than a second. Raises ConfigError for a section that its adapter
    cannot work with.
    """
    async with AsyncExitStack() as stack:
        adapters: dict[str, Adapter] = {}
        if config.providers.ews is not None:
            from providers import ews

            with _section("ews"):
                adapters["ews"] = await ews.connect(config.providers.ews, clock)
            stack.push_async_callback(adapters["ews"].close)
        if config.providers.o365 is not None:
            from providers import o365

            with _section("o365"):
                adapters["o365"] = await o365.connect(config.providers.o365, clock)
            stack.push_async_callback(adapters["o365"].close)
        if config.providers.googlecalendar is not None:
            from providers import googlecalendar

            with _section("googlecalendar"):
                adapters["googlecalendar"] = await googlecalendar.connect(
                    config.providers.googlecalendar, clock
                )
            stack.push_async_callback(adapters["googlecalendar"].close)
        yield adapters


@contextmanager
def _section(type_: str) -> Iterator[None]:
    """Names the section of the configuration in which an adapter finds something wrong."""
    try:
        yield
    except SettingsError as error:
        raise ConfigError(f"providers.{type_}.{error}") from error
