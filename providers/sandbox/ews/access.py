"""Who asks, for whom, and what they may reach: impersonation, delegate access, folders and items."""

import msgspec
from lxml import etree

from providers.sandbox.ews import identifiers, timezones
from providers.sandbox.ews.hierarchy import Folder, find_folder
from providers.sandbox.ews.soap import TYPES, ResponseError, SoapFault
from providers.sandbox.state import Native, SandboxMailbox, State

__all__ = ["Caller", "caller"]

_T = f"{{{TYPES}}}"


class Caller(msgspec.Struct, kw_only=True):
    """The account of a request, and the mailbox it acts as, if it impersonates one."""

    state: State
    account: str
    impersonated: SandboxMailbox | None
    zone: str | None
    """The Windows time zone of the request's TimeZoneContext."""

    @property
    def name(self) -> str:
        """Who is noted as the one that changed an item."""
        return self.impersonated.address if self.impersonated else self.account

    def folder(self, element: etree._Element) -> tuple[SandboxMailbox, Folder]:
        """The folder that a FolderId or DistinguishedFolderId names, if the caller may use it.

        Raises ``ResponseError``: ErrorNonExistentMailbox, ErrorAccessDenied, ErrorFolderNotFound,
        ErrorMissingEmailAddress, ErrorInvalidIdMalformed.
        """
        identifier = element.get("Id") or ""
        if element.tag == f"{_T}FolderId":
            address, name = identifiers.read_folder_id(identifier)
            mailbox = self.state.mailbox("ews", address)
            if mailbox is None:
                raise ResponseError(
                    "ErrorFolderNotFound", "The specified folder could not be found in the store."
                )
        elif element.tag == f"{_T}DistinguishedFolderId":
            mailbox, name = self._named(element), identifier
        else:
            raise ResponseError("ErrorFolderNotFound", "The mailbox has no such folder.")
        if not self._may_use(mailbox):
            raise ResponseError("ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        folder = find_folder(mailbox, name)
        if folder is None:
            raise ResponseError(
                "ErrorFolderNotFound", "The specified folder could not be found in the store."
            )
        return mailbox, folder

    def _named(self, element: etree._Element) -> SandboxMailbox:
        address = element.findtext(f"{_T}Mailbox/{_T}EmailAddress")
        if address is not None:
            mailbox = self.state.mailbox("ews", address)
            if mailbox is None:
                raise ResponseError(
                    "ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it."
                )
            return mailbox
        return self.own()

    def own(self) -> SandboxMailbox:
        """The mailbox of a request that names none. Raises ``ResponseError`` ErrorMissingEmailAddress."""
        if self.impersonated is not None:
            return self.impersonated
        mailbox = self.state.mailbox("ews", self.account)
        if mailbox is None:
            raise ResponseError(
                "ErrorMissingEmailAddress",
                "When making a request as an account that does not have a mailbox, you must specify the"
                " mailbox primary SMTP address for any distinguished folder Ids.",
            )
        return mailbox

    def item(self, element: etree._Element) -> tuple[SandboxMailbox, Native]:
        """The item that an ItemId names.

        Raises ``ResponseError`` ErrorItemNotFound, also where the caller may not know that it is there.
        """
        if element.tag != f"{_T}ItemId":
            raise ResponseError(
                "ErrorCalendarCannotUseIdForOccurrenceId", "The sandbox keeps single items, none that recur."
            )
        identifier = element.get("Id") or ""
        if not identifier:
            raise ResponseError("ErrorInvalidIdEmpty", "Id must be non-empty.")
        mailbox = self.state.mailbox("ews", identifiers.read_item_id(identifier))
        native = mailbox.events.get(identifier) if mailbox is not None and self._may_use(mailbox) else None
        if mailbox is None or native is None:
            raise ResponseError("ErrorItemNotFound", "The specified object was not found in the store.")
        return mailbox, native

    def _may_use(self, mailbox: SandboxMailbox) -> bool:
        if self.impersonated is not None:
            return mailbox is self.impersonated
        return mailbox.access


def caller(state: State, account: str, headers: dict[str, etree._Element]) -> Caller:
    """Read the header blocks of a request.

    Raises ``SoapFault`` ErrorNonExistentMailbox, ErrorImpersonateUserDenied or ErrorTimeZone.
    """
    return Caller(
        state=state,
        account=account,
        impersonated=_impersonated(state, headers.get("ExchangeImpersonation")),
        zone=_zone(headers.get("TimeZoneContext")),
    )


def _impersonated(state: State, block: etree._Element | None) -> SandboxMailbox | None:
    if block is None:
        return None
    address = (block[0][0].text or "").strip()
    mailbox = state.mailbox("ews", address)
    if mailbox is None:
        raise SoapFault("ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it.")
    if not mailbox.access:
        raise SoapFault(
            "ErrorImpersonateUserDenied",
            "The account does not have permission to impersonate the requested user.",
        )
    return mailbox


def _zone(block: etree._Element | None) -> str | None:
    identifier = None if block is None else block[0].get("Id")
    if identifier is None:
        return None
    try:
        timezones.zone(identifier)
    except ResponseError as error:
        raise SoapFault(error.code, error.message) from error
    return identifier
