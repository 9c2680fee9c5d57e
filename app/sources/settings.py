"""The configuration of sources, ``[sources]``: what they may reach, and how much and how fast is read."""

from base64 import b64decode
from ipaddress import ip_network
from typing import Annotated

import msgspec

from app.sources.addresses import Network
from providers.settings import FilePath, Secret, Settings

__all__ = ["SourceSettings", "WebhookSettings"]

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[int, msgspec.Meta(ge=1)]
Rate = Annotated[float, msgspec.Meta(gt=0)]


class WebhookSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[sources.webhook]``: who is sent the records of resources that are not persisted."""

    url: str
    """http or https. A private network has to be in ``allowed_networks``."""
    secret: Secret
    """Signs what is sent: ``whsec_`` and 24 to 64 bytes in base64 (Standard Webhooks)."""
    attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 8
    """How often an event is sent before its run fails; the pauses double, from a second to five minutes."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://")):
            raise ValueError("url: expected an address that begins with https://")
        if not 24 <= len(self.key) <= 64:
            raise ValueError("secret: expected whsec_ and 24 to 64 random bytes in base64")

    @property
    def key(self) -> bytes:
        """The bytes of the secret; none where it is not base64."""
        try:
            return b64decode(self.secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            return b""


class SourceSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[sources]``: what sources may reach, and how much and how fast is read from them."""

    allowed_networks: tuple[str, ...] = ()
    """Private networks that sources and the webhook may reach, for example 10.20.0.0/16."""
    encryption_key: Secret | None = None
    """Encrypts the credentials of sources in the database. None: one is made, with the embedded database."""
    ca_file: FilePath | None = None
    """Certificates to trust in the place of the machine's own, for sources with a private CA."""
    timeout_seconds: Seconds = 60
    """For one request, redirects and the whole answer included."""
    max_bytes: Count = 20_000_000
    """Of one answer, after decompression."""
    max_redirects: Annotated[int, msgspec.Meta(ge=0, le=20)] = 5
    max_pages: Count = 10_000
    """Of one resource that is answered in pages."""
    max_records: Count = 100_000
    """Of one request, in all its pages; one that gives more has failed. A timetable has ``max_events``."""
    max_wait_seconds: Seconds = 900
    """How long a source may ask us to wait; one that asks for more has failed."""
    max_run_seconds: Seconds = 43_200
    """For one run: after that it has failed, and the next one of its job and account can begin."""
    overlap_seconds: Annotated[int, msgspec.Meta(ge=0)] = 300
    """So much before the run before it began, an incremental run asks for changes: clocks differ."""
    requests_per_second: Rate = 5.0
    """To one host, from one process."""
    rates: dict[str, Rate] = msgspec.field(default_factory=dict)
    """By host, where it is not ``requests_per_second``: ``rates = {"timetable.uni.example" = 20}``."""
    webhook: WebhookSettings | None = None

    def __post_init__(self) -> None:
        for network in self.allowed_networks:
            try:
                ip_network(network)
            except ValueError as error:
                raise ValueError(f"allowed_networks: {error}") from None

    @property
    def networks(self) -> tuple[Network, ...]:
        """The allowed networks, parsed."""
        return tuple(ip_network(network) for network in self.allowed_networks)

    def rate(self, host: str) -> float:
        """Requests a second to a host, its name in lower case."""
        return self.rates.get(host, self.requests_per_second)
