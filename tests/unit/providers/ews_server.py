"""Exchange as the unit tests of the adapter see it: SOAP in, SOAP out, no network.

The answers have the form of Microsoft's examples in the EWS reference (learn.microsoft.com).
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from lxml import etree

from providers.contract import Event, Mailbox, Marker, Permit, Update, always
from providers.ews.adapter import EwsAdapter
from providers.ews.session import Endpoint
from tests.clock import SettableClock

M = "{http://schemas.microsoft.com/exchange/services/2006/messages}"
T = "{http://schemas.microsoft.com/exchange/services/2006/types}"
S = "{http://schemas.xmlsoap.org/soap/envelope/}"
_NAMESPACES = (
    'xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
    'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types" '
    'xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors"'
)

ALICE = Mailbox(address="alice@uni.example", identity="folder")

Responder = Callable[[etree._Element], bytes]


class ScriptedEndpoint(Endpoint):
    """Answers each request by the next responder (or raises it); ``requests`` keeps the SOAP bodies."""

    def __init__(self, *script: Responder | bytes | Exception) -> None:
        super().__init__(
            "https://mail.uni.example/EWS/Exchange.asmx",
            username="svc",
            password="secret",
            auth_type="basic",
            ca_file=None,
        )
        self.script = list(script)
        self.requests: list[etree._Element] = []
        self.envelopes: list[bytes] = []

    def post(self, envelope: bytes, anchor: str, permit: Permit = always) -> bytes:
        permit()
        self.envelopes.append(envelope)
        request = etree.fromstring(envelope).find(f"{S}Body")[0]
        self.requests.append(request)
        assert self.script, f"an unexpected {request.tag}"
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, bytes) else step(request)

    @property
    def operations(self) -> list[str]:
        return [etree.QName(request).localname for request in self.requests]


@asynccontextmanager
async def scripted(
    *script: Responder | bytes | Exception, access_type: str = "impersonation"
) -> AsyncIterator[tuple[EwsAdapter, ScriptedEndpoint]]:
    """An adapter whose Exchange answers by the script, all of which must be used."""
    endpoint = ScriptedEndpoint(*script)
    adapter = EwsAdapter({"svc": endpoint}, access_type, SettableClock())
    try:
        yield adapter, endpoint
        assert not endpoint.script, "answers that nobody asked for"
    finally:
        await adapter.close()


def envelope(body: str) -> bytes:
    start = f"<?xml version='1.0' encoding='utf-8'?><s:Envelope {_NAMESPACES}>"
    return f"{start}<s:Body>{body}</s:Body></s:Envelope>".encode()


def response(operation: str, *messages: str) -> bytes:
    """A response with these messages: each what ``success``, ``error`` or ``page`` make."""
    inner = "".join(message.replace("OPERATION", operation) for message in messages)
    return envelope(
        f"<m:{operation}Response><m:ResponseMessages>{inner}</m:ResponseMessages></m:{operation}Response>"
    )


def success(id: str | None = None, version: str = "ck", payload: str | None = None) -> str:
    if payload is None:
        payload = ""
        if id is not None:
            item = f'<t:CalendarItem><t:ItemId Id="{id}" ChangeKey="{version}"/></t:CalendarItem>'
            payload = f"<m:Items>{item}</m:Items>"
    return (
        '<m:OPERATIONResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>'
        f"{payload}</m:OPERATIONResponseMessage>"
    )


def error(code: str, back_off: int | None = None, response_class: str = "Error") -> str:
    """``back_off`` in milliseconds."""
    details = ""
    if back_off is not None:
        details = f'<m:MessageXml><t:Value Name="BackOffMilliseconds">{back_off}</t:Value></m:MessageXml>'
    return (
        f'<m:OPERATIONResponseMessage ResponseClass="{response_class}"><m:MessageText>Text.</m:MessageText>'
        f"<m:ResponseCode>{code}</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>{details}"
        "</m:OPERATIONResponseMessage>"
    )


def fault(code: str, back_off: int | None = None) -> bytes:
    details = ""
    if back_off is not None:
        details = f'<t:MessageXml><t:Value Name="BackOffMilliseconds">{back_off}</t:Value></t:MessageXml>'
    return envelope(
        f"<s:Fault><faultcode>a:{code}</faultcode><faultstring>Text.</faultstring><detail>"
        f"<e:ResponseCode>{code}</e:ResponseCode><e:Message>Text.</e:Message>{details}</detail></s:Fault>"
    )


def folder(id: str = "folder", rights: str | None = None) -> bytes:
    """``rights``: the elements in EffectiveRights."""
    effective = "" if rights is None else f"<t:EffectiveRights>{rights}</t:EffectiveRights>"
    return response(
        "GetFolder",
        success(
            payload=f'<m:Folders><t:CalendarFolder><t:FolderId Id="{id}" ChangeKey="fk"/>{effective}'
            "</t:CalendarFolder></m:Folders>"
        ),
    )


def found(id: str, marker: Marker | None, property_set: str = "7c6a1f52-4f0e-5d3b-9a2c-0b6d8e41a7f3") -> str:
    """An item of a page; without ``marker`` it is somebody's own."""
    properties = "" if marker is None else _properties(marker, property_set)
    return f'<t:CalendarItem><t:ItemId Id="{id}" ChangeKey="ck-{id}"/>{properties}</t:CalendarItem>'


def _properties(marker: Marker, property_set: str) -> str:
    values = {
        "RoosterInstance": marker.instance,
        "RoosterSynchronization": str(marker.synchronization),
        "RoosterEvent": marker.event,
        "RoosterAttempt": marker.attempt.hex,
    }
    return "".join(
        f'<t:ExtendedProperty><t:ExtendedFieldURI PropertySetId="{property_set}" PropertyName="{name}" '
        f'PropertyType="String"/><t:Value>{value}</t:Value></t:ExtendedProperty>'
        for name, value in values.items()
    )


def held(
    id: str,
    event: Event,
    marker: Marker | None,
    *,
    version: str | None = None,
    body: str | None = None,
    zone: str = "W. Europe Standard Time",
    free_busy: str = "Busy",
) -> str:
    """An item with all that Rooster owns; ``body`` in place of the event's, as the person left it."""
    text = event.body if body is None else body
    categories = "".join(f"<t:String>{category}</t:String>" for category in event.categories)
    properties = "" if marker is None else _properties(marker, "7c6a1f52-4f0e-5d3b-9a2c-0b6d8e41a7f3")
    return (
        f'<t:CalendarItem><t:ItemId Id="{id}" ChangeKey="{version or f"ck-{id}"}"/>'
        f'<t:Subject>{event.title}</t:Subject><t:Body BodyType="Text">{text}</t:Body>'
        f"<t:Categories>{categories}</t:Categories>{properties}"
        f"<t:Start>{event.start:%Y-%m-%dT%H:%M:%SZ}</t:Start><t:End>{event.end:%Y-%m-%dT%H:%M:%SZ}</t:End>"
        f"<t:IsAllDayEvent>{str(event.all_day).lower()}</t:IsAllDayEvent>"
        f"<t:LegacyFreeBusyStatus>{free_busy}</t:LegacyFreeBusyStatus><t:Location>{event.location}</t:Location>"
        f'<t:StartTimeZone Id="{zone}" Name="A zone"/><t:EndTimeZone Id="{zone}" Name="A zone"/>'
        "</t:CalendarItem>"
    )


def got(*items: str) -> bytes:
    """The answer to a GetItem of these items; an item that is an error stays one."""
    return response(
        "GetItem",
        *(
            item if "ResponseCode" in item else success(payload=f"<m:Items>{item}</m:Items>")
            for item in items
        ),
    )


def get_any(request: etree._Element) -> bytes:
    """Answers a GetItem of any items: each is the event with the number in its id, or the first one."""
    ids = [item_id.get("Id", "") for item_id in request.findall(f"{M}ItemIds/{T}ItemId")]
    return got(*(held(id, event(_number(id)), marker(_number(id))) for id in ids))


def _number(id: str) -> int:
    return int("".join(filter(str.isdigit, id)) or 1)


def page(items: Sequence[str], *, total: int, next_offset: int, last: bool) -> bytes:
    return response(
        "FindItem",
        success(
            payload=f'<m:RootFolder IndexedPagingOffset="{next_offset}" TotalItemsInView="{total}" '
            f'IncludesLastItemInRange="{str(last).lower()}"><t:Items>{"".join(items)}</t:Items></m:RootFolder>'
        ),
    )


def event(number: int = 1, **changes: Any) -> Event:
    start = datetime(2026, 9, 1, 8, tzinfo=UTC) + timedelta(hours=number)
    fields: dict[str, Any] = {
        "uid": f"uid-{number}",
        "title": f"Lecture {number}",
        "start": start,
        "end": start + timedelta(hours=1),
        "time_zone": "Europe/Amsterdam",
        "location": "Room 1",
        "description": "Bring a book.",
        "categories": ("Mathematics",),
    }
    return Event(**(fields | changes))


def marker(number: int = 1, **changes: Any) -> Marker:
    fields: dict[str, Any] = {
        "instance": "uni.example",
        "synchronization": 7,
        "event": f"uid-{number}",
        "attempt": UUID(int=number),
    }
    return Marker(**(fields | changes))


def update(number: int, version: str | None = "ck") -> Update:
    return Update(
        id=f"id-{number}",
        version=version,
        event=event(number, title="Changed"),
        possible=(event(number),),
        marker=marker(number),
    )
