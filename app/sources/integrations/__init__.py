"""The kinds of sources that Rooster can read, and how to add one.

A further one is a class with the methods of ``app.sources.contract.Integration`` in a module of this package,
and a line in ``_integrations`` below. docs/sources.md shows one from beginning to end. What it gets for
nothing:

- ``Client.get`` asks: safely, at the configured pace, patient where the source says when to come back, and
  with another try where that helps. What it raises stands for "not read", and may pass through;
- ``Pages`` follows pages, and notices circles, and more records than anybody can want;
- ``to_event`` makes an event of a dictionary as in CONTRACT §5, or says in a sentence why it cannot.

What it must not do: end as if all were read when something was not. An answer that is not what it should be
is ReadFailed; only a list that is there and empty is an empty one.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from app.clock import Clock, system_clock
from app.config import Config, ConfigError
from app.sources.client import Client
from app.sources.contract import Integration, RunIdentity, Sources, Webhook
from app.sources.fetch import Fetcher
from app.sources.integrations.http_json import HttpJson
from app.sources.integrations.icalendar import ICalendar
from app.sources.integrations.mytimetable import MyTimetable
from app.sources.pace import Pace
from app.sources.settings import SourceSettings
from app.sources.webhook import HttpWebhook
from providers.settings import SettingsError
from providers.trust import trusting

__all__ = ["INTEGRATIONS", "open_sources"]


def _integrations(client: Client, settings: SourceSettings) -> Iterable[Integration]:
    yield MyTimetable(client, settings.max_pages, settings.max_records)
    yield ICalendar(client)
    yield HttpJson(client, settings.max_pages, settings.max_records)


def _by_name(fetcher: Fetcher, settings: SourceSettings, clock: Clock) -> dict[str, Integration]:
    return {made.name: made for made in _integrations(Client(fetcher, clock), settings)}


def _for_checks() -> Mapping[str, Integration]:
    settings = SourceSettings()
    return _by_name(Fetcher(settings, None), settings, system_clock)


INTEGRATIONS: Mapping[str, Integration] = _for_checks()
"""By name, for their checks: nothing is opened, and they are not to read with."""


@asynccontextmanager
async def open_sources(config: Config, clock: Clock) -> AsyncIterator[Sources]:
    """All that reaches out of this process for sync jobs; its connections are closed at the end.

    Nothing is sent yet. Raises ConfigError if the ``ca_file`` cannot be used.
    """
    try:
        trusting(config.sources.ca_file)
    except SettingsError as error:
        raise ConfigError(f"sources.{error}") from error
    opened = _Sources(config.sources, clock)
    try:
        yield opened
    finally:
        await opened.close()


class _Sources:
    def __init__(self, settings: SourceSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._reading = Fetcher(settings, Pace(settings, clock))
        self._sending = Fetcher(settings, None)
        self.integrations: Mapping[str, Integration] = _by_name(self._reading, settings, clock)

    @asynccontextmanager
    async def webhook(self, run: RunIdentity) -> AsyncIterator[Webhook | None]:
        settings = self._settings.webhook
        if settings is None:
            yield None
            return
        longest = timedelta(seconds=self._settings.max_wait_seconds)
        yield HttpWebhook(settings, run, self._sending, self._clock, max_wait=longest)

    async def close(self) -> None:
        await self._reading.close()
        await self._sending.close()
