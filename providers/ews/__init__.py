"""Exchange Web Services: calendars on Exchange 2013 SP1 and later, and on Exchange Online until EWS ends."""

from urllib.parse import urlsplit

from providers.adapter import Adapter
from providers.contract import Clock
from providers.ews.adapter import EwsAdapter
from providers.ews.session import Endpoint
from providers.ews.tokens import Tokens
from providers.settings import EwsAccount, EwsSettings, SettingsError
from providers.trust import trusting

__all__ = ["connect"]


async def connect(settings: EwsSettings, clock: Clock) -> Adapter:
    """An adapter for these settings. Makes no request: a server that is down does not stop Rooster.

    Raises SettingsError for settings that can never work.
    """
    _check(settings)
    endpoints = {
        account.username: Endpoint(
            settings.service_endpoint,
            username=account.username,
            password=account.password,
            auth_type=settings.auth_type,
            ca_file=settings.ca_file,
            tokens=_tokens(settings, account, clock),
        )
        for account in _accounts(settings)
    }
    return EwsAdapter(endpoints, settings.access_type, clock)


def _accounts(settings: EwsSettings) -> list[EwsAccount]:
    accounts = list(settings.accounts)
    if settings.username is not None and settings.password is not None:
        accounts.insert(0, EwsAccount(username=settings.username, password=settings.password))
    return accounts


def _tokens(settings: EwsSettings, account: EwsAccount, clock: Clock) -> Tokens | None:
    if settings.auth_type != "oauth":
        return None
    authority = f"{settings.authority.rstrip('/')}/{settings.tenant_id}"
    return Tokens(
        settings.service_endpoint,
        authority=authority,
        client_id=account.username,
        client_secret=account.password,
        ca_file=settings.ca_file,
        clock=clock,
    )


def _check(settings: EwsSettings) -> None:
    parts = urlsplit(settings.service_endpoint)
    if parts.scheme != "https" or not parts.hostname:
        raise SettingsError("service_endpoint: has to begin with https://, as passwords go there")
    trusting(settings.ca_file)
