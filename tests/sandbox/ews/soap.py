"""A client of EWS for tests: raw SOAP in, parsed answers out, each answer checked by Microsoft's schemas."""

from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from lxml import etree

from providers.sandbox.ews.schemas import declared
from providers.sandbox.state import State

SCHEMAS = Path(__file__).resolve().parents[3].parent / "shared" / "reference" / "schemas"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
T = "http://schemas.microsoft.com/exchange/services/2006/types"
M = "http://schemas.microsoft.com/exchange/services/2006/messages"
E = "http://schemas.microsoft.com/exchange/services/2006/errors"
NS = {"s": SOAP, "t": T, "m": M, "e": E}

ALICE = "alice@uni.example"
GUID = "7c6a1f52-4f0e-5d3b-9a2c-0b6d8e41a7f3"
CALENDAR = '<t:DistinguishedFolderId Id="calendar"/>'


def impersonating(address: str, kind: str = "PrimarySmtpAddress") -> str:
    """The header by which an account acts as a mailbox."""
    return (
        f"<t:ExchangeImpersonation><t:ConnectingSID><t:{kind}>{address}</t:{kind}>"
        "</t:ConnectingSID></t:ExchangeImpersonation>"
    )


def in_zone(windows_id: str) -> str:
    """The header that says in which zone times without an offset are read."""
    return f'<t:TimeZoneContext><t:TimeZoneDefinition Id="{windows_id}"/></t:TimeZoneContext>'


def named(name: str) -> str:
    """The path of a named string property."""
    return f'<t:ExtendedFieldURI PropertySetId="{GUID}" PropertyName="{name}" PropertyType="String"/>'


def prop(name: str, value: str) -> str:
    """A named string property with its value."""
    return f"<t:ExtendedProperty>{named(name)}<t:Value>{value}</t:Value></t:ExtendedProperty>"


@cache
def schema() -> etree.XMLSchema | None:
    path = SCHEMAS / "ews" / "messages-all.xsd"
    return etree.XMLSchema(etree.parse(path)) if path.is_file() else None


class Answer:
    """What came back: the HTTP status and the SOAP body."""

    def __init__(self, status: int, headers: Any, text: str) -> None:
        self.status, self.headers, self.text = status, headers, text
        self.root = etree.fromstring(text.encode()) if text.startswith("<?xml") else None
        if self.root is not None and self.fault is None:
            _check(self.find("s:Body")[0])

    def find(self, path: str) -> Any:
        """The first element at a path, from the envelope."""
        assert self.root is not None, self.text
        return self.root.find(path, NS)

    def all(self, path: str) -> list[Any]:
        assert self.root is not None, self.text
        return self.root.findall(path, NS)

    def texts(self, name: str) -> list[str]:
        """The texts of all elements of this name in the namespace of types."""
        return [element.text or "" for element in self.all(f".//t:{name}")]

    @property
    def fault(self) -> str | None:
        """The code of a SOAP fault, or None."""
        found = self.find("s:Body/s:Fault/detail/e:ResponseCode")
        return None if found is None else str(found.text)

    @property
    def codes(self) -> list[str]:
        """The response codes of the items, in their order."""
        return [element.text for element in self.all(".//m:ResponseCode")]

    @property
    def state(self) -> str:
        """The SyncState."""
        return str(self.find(".//m:SyncState").text)

    @property
    def ids(self) -> list[tuple[str, str]]:
        """Id and change key of every item."""
        return [(one.get("Id"), one.get("ChangeKey")) for one in self.all(".//t:ItemId")]


def _check(body: etree._Element) -> None:
    """An answer that Microsoft's schemas do not allow is a bug of the sandbox."""
    found = schema()
    if found is not None:
        found.assertValid(declared(body))


class Exchange:
    """The sandbox's EWS endpoint over plain HTTP, and the state behind it."""

    def __init__(self, session: aiohttp.ClientSession, url: str, state: State) -> None:
        self.session, self.url, self.state = session, url, state
        self.login = aiohttp.encode_basic_auth(state.credentials.ews_username, state.credentials.ews_password)

    async def post(self, data: bytes | str, login: str | None = None) -> Answer:
        headers = {"Content-Type": "text/xml; charset=utf-8", "Authorization": login or self.login}
        async with self.session.post(self.url, data=data, headers=headers) as response:
            return Answer(response.status, response.headers, await response.text())

    async def call(self, body: str, header: str | None = None) -> Answer:
        """Send the body of a request; as Alice, unless ``header`` says otherwise."""
        header = impersonating(ALICE) if header is None else header
        return await self.post(
            f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}" xmlns:t="{T}" xmlns:m="{M}">'
            f'<s:Header><t:RequestServerVersion Version="Exchange2016"/>{header}</s:Header>'
            f"<s:Body>{body}</s:Body></s:Envelope>"
        )

    async def create(
        self, *items: str, header: str | None = None, folder: str = CALENDAR, send: str | None = "SendToNone"
    ) -> Answer:
        """CreateItem of CalendarItem elements with this content."""
        content = "".join(f"<t:CalendarItem>{item}</t:CalendarItem>" for item in items)
        sending = f' SendMeetingInvitations="{send}"' if send else ""
        return await self.call(
            f"<m:CreateItem{sending}><m:SavedItemFolderId>{folder}</m:SavedItemFolderId>"
            f"<m:Items>{content}</m:Items></m:CreateItem>",
            header,
        )

    async def update(
        self,
        item: tuple[str, str | None],
        *changes: str,
        resolution: str = "AutoResolve",
        send: str | None = "SendToNone",
        header: str | None = None,
    ) -> Answer:
        """UpdateItem of one item. Give the change key None to leave it out."""
        identifier, key = item
        version = f' ChangeKey="{key}"' if key else ""
        sending = f' SendMeetingInvitationsOrCancellations="{send}"' if send else ""
        return await self.call(
            f'<m:UpdateItem ConflictResolution="{resolution}"{sending}><m:ItemChanges><t:ItemChange>'
            f'<t:ItemId Id="{identifier}"{version}/><t:Updates>{"".join(changes)}</t:Updates>'
            "</t:ItemChange></m:ItemChanges></m:UpdateItem>",
            header,
        )

    async def delete(
        self,
        *ids: str,
        kind: str = "HardDelete",
        send: str | None = "SendToNone",
        header: str | None = None,
    ) -> Answer:
        sending = f' SendMeetingCancellations="{send}"' if send else ""
        content = "".join(f'<t:ItemId Id="{one}"/>' for one in ids)
        return await self.call(
            f'<m:DeleteItem DeleteType="{kind}"{sending}><m:ItemIds>{content}</m:ItemIds></m:DeleteItem>',
            header,
        )

    async def get(
        self,
        *ids: str,
        shape: str = "IdOnly",
        paths: str = "",
        body_type: str = "",
        header: str | None = None,
    ) -> Answer:
        content = "".join(f'<t:ItemId Id="{one}"/>' for one in ids)
        kind = f"<t:BodyType>{body_type}</t:BodyType>" if body_type else ""
        more = f"<t:AdditionalProperties>{paths}</t:AdditionalProperties>" if paths else ""
        return await self.call(
            f"<m:GetItem><m:ItemShape><t:BaseShape>{shape}</t:BaseShape>{kind}{more}</m:ItemShape>"
            f"<m:ItemIds>{content}</m:ItemIds></m:GetItem>",
            header,
        )

    async def find(
        self,
        *,
        shape: str = "IdOnly",
        paths: str = "",
        page: str = "",
        restriction: str = "",
        order: str = "",
        folder: str = CALENDAR,
        header: str | None = None,
    ) -> Answer:
        more = f"<t:AdditionalProperties>{paths}</t:AdditionalProperties>" if paths else ""
        condition = f"<m:Restriction>{restriction}</m:Restriction>" if restriction else ""
        sort = f"<m:SortOrder>{order}</m:SortOrder>" if order else ""
        return await self.call(
            f'<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>{shape}</t:BaseShape>{more}'
            f"</m:ItemShape>{page}{condition}{sort}<m:ParentFolderIds>{folder}</m:ParentFolderIds></m:FindItem>",
            header,
        )

    async def sync(
        self, state: str = "", *, most: int = 512, paths: str = "", folder: str = CALENDAR, ignore: str = ""
    ) -> Answer:
        """SyncFolderItems since a state."""
        more = f"<t:AdditionalProperties>{paths}</t:AdditionalProperties>" if paths else ""
        since = f"<m:SyncState>{state}</m:SyncState>" if state else ""
        return await self.call(
            f"<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{more}</m:ItemShape>"
            f"<m:SyncFolderId>{folder}</m:SyncFolderId>{since}{ignore}"
            f"<m:MaxChangesReturned>{most}</m:MaxChangesReturned></m:SyncFolderItems>"
        )


def uri(name: str) -> str:
    """The path of a property."""
    return f'<t:FieldURI FieldURI="{name}"/>'


def set_field(path: str, content: str) -> str:
    return f"<t:SetItemField>{path}<t:CalendarItem>{content}</t:CalendarItem></t:SetItemField>"


def lecture(subject: str = "Lecture", more: str = "", after: str = "") -> str:
    """An event on the first of September 2026, from 9 to 11 in Amsterdam."""
    return (
        f"<t:Subject>{subject}</t:Subject>{more}"
        f"<t:Start>2026-09-01T09:00:00+02:00</t:Start><t:End>2026-09-01T11:00:00+02:00</t:End>{after}"
    )
