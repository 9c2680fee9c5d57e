"""The HTTP side of EWS: authentication, connections, faults, and checking what goes in and out."""

import base64
import binascii
import hmac
from collections import Counter

from aiohttp import web
from lxml import etree

from providers.sandbox.ews import faults, grammar, identifiers, operations, schemas
from providers.sandbox.ews.access import Caller, caller
from providers.sandbox.ews.soap import (
    MESSAGES,
    TYPES,
    Envelope,
    ResponseError,
    SoapFault,
    local,
    parse,
    render_fault,
    render_response,
)
from providers.sandbox.faults import cut_connection
from providers.sandbox.state import Fault, State

__all__ = ["Endpoint"]

_SYNC_STATE = f"{{{MESSAGES}}}SyncState"
_UNAVAILABLE = "<html><head><title>Service Unavailable</title></head><body>HTTP Error 503.</body></html>"


class Endpoint:
    """``/EWS/Exchange.asmx`` of a server whose mailboxes are in ``state``."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._connections: Counter[str] = Counter()
        self._schemas = None if state.schemas is None else schemas.load(state.schemas)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one POST."""
        account = self._account(request)
        if account is None:
            return web.Response(
                status=401, headers={"WWW-Authenticate": 'Basic realm="Exchange Web Services (sandbox)"'}
            )
        if self._state.quotas and self._connections[account] >= faults.MAX_CONNECTIONS:
            return _soap_fault(faults.too_many_connections())
        self._connections[account] += 1
        try:
            data = await request.read()
            return await self._respond(request, account, data)
        except SoapFault as fault:
            return _soap_fault(fault)
        finally:
            self._connections[account] -= 1

    def _account(self, request: web.Request) -> str | None:
        """The account whose name and password the request shows, or None."""
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            login, _, password = base64.b64decode(encoded, validate=True).partition(b":")
        except binascii.Error:
            return None
        credentials = self._state.credentials
        accounts = {credentials.ews_username: credentials.ews_password, **self._state.ews_accounts}
        name = login.decode(errors="replace").casefold()
        for account, right in accounts.items():
            if account.casefold() == name and scheme.casefold() == "basic":
                return account if hmac.compare_digest(password, right.encode()) else None
        return None

    async def _respond(self, request: web.Request, account: str, data: bytes) -> web.StreamResponse:
        try:
            envelope = parse(data)
        except SoapFault as fault:
            self._state.stats.request("ews", "invalid", len(data))
            self._state.violations.append(f"ews request: {fault.violation}")
            raise
        operation = local(envelope.body)
        self._state.stats.request("ews", operation, len(data))
        self._check(operation, envelope)
        asking = caller(self._state, account, envelope.headers)
        plan = faults.plan(
            self._state,
            operation,
            _mailbox_address(asking, envelope.body),
            len(operations.item_elements(envelope.body)),
            impersonating=asking.impersonated is not None,
            shows_state=operation == "SyncFolderItems" and bool(envelope.body.findtext(_SYNC_STATE)),
        )
        call = operations.Call(caller=asking, body=envelope.body, plan=plan)
        if plan.fault is not None:
            return await self._play(request, plan.fault, call)
        return self._answer(call)

    def _answer(self, call: operations.Call) -> web.Response:
        operation = local(call.body)
        text = render_response(operation, operations.carry_out(call))
        if self._schemas is not None:
            self._state.violations.extend(
                f"ews answer {operation}: {violation}" for violation in self._schemas.answer_violations(text)
            )
        return web.Response(text=text, content_type="text/xml", charset="utf-8")

    async def _play(self, request: web.Request, fault: Fault, call: operations.Call) -> web.StreamResponse:
        match fault.fault:
            case "throttle" if fault.options.get("shape") == "connections":
                raise faults.too_many_connections()
            case "throttle" if str(fault.options.get("shape", "fault")) != "503":
                raise faults.busy_fault(fault)
            case "throttle" | "unavailable":
                return _unavailable(fault)
            case "commit_then_drop":
                self._answer(call)
                return cut_connection(request)
            case "commit_then_503":
                self._answer(call)
                return _unavailable(fault)
            case "slow":
                await self._state.sleep(float(fault.options.get("delay", 5)))
                return self._answer(call)
            case "truncated":
                return _cut_document(self._answer(call))
        match fault.options.get("shape"):
            case "document":
                return _cut_document(self._answer(call))
            case "page":
                return _cut_page(self._answer(call))
        return await _half(request, self._answer(call))

    def _check(self, operation: str, envelope: Envelope) -> None:
        """Raises ``SoapFault`` ErrorSchemaValidation for a request that Exchange's schema refuses."""
        try:
            for block in envelope.headers.values():
                grammar.check_header(block)
            grammar.check_request(envelope.body)
            for violation in [] if self._schemas is None else self._schemas.request_violations(envelope):
                raise SoapFault(
                    "ErrorSchemaValidation",
                    f"The request failed schema validation: {violation}",
                    violation=violation,
                )
        except SoapFault as fault:
            self._state.violations.append(f"ews request {operation}: {fault.violation}")
            raise


def _mailbox_address(asking: Caller, body: etree._Element) -> str | None:
    """The mailbox that a request is about: the impersonated one, or the one that a folder or id names."""
    if asking.impersonated is not None:
        return asking.impersonated.address
    address = body.findtext(f".//{{{TYPES}}}DistinguishedFolderId/{{{TYPES}}}Mailbox/{{{TYPES}}}EmailAddress")
    item_id, folder_id = (body.find(f".//{{{TYPES}}}{name}") for name in ("ItemId", "FolderId"))
    try:
        if address is None and item_id is not None:
            address = identifiers.read_item_id(item_id.get("Id") or "")
        elif address is None and folder_id is not None:
            address = identifiers.read_folder_id(folder_id.get("Id") or "")[0]
    except ResponseError:
        return None  # the operation will say what is wrong with the id
    mailbox = asking.state.mailbox("ews", address) if address else None
    return address if mailbox is None else mailbox.address


def _soap_fault(fault: SoapFault) -> web.Response:
    return web.Response(status=500, text=render_fault(fault), content_type="text/xml", charset="utf-8")


def _unavailable(fault: Fault) -> web.Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(round(fault.retry_after))}
    return web.Response(status=503, text=_UNAVAILABLE, content_type="text/html", headers=headers)


async def _half(request: web.Request, answer: web.Response) -> web.StreamResponse:
    """Send the first half of an answer and cut the connection."""
    body = answer.body
    assert isinstance(body, bytes)
    response = web.StreamResponse(status=answer.status, headers={"Content-Type": "text/xml; charset=utf-8"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    cut_connection(request)
    return response


def _cut_document(answer: web.Response) -> web.Response:
    """A complete HTTP answer with the first half of a document."""
    assert answer.text is not None
    return web.Response(text=answer.text[: len(answer.text) // 2], content_type="text/xml", charset="utf-8")


def _cut_page(answer: web.Response) -> web.Response:
    """The same page without the second half of its items."""
    assert isinstance(answer.body, bytes)
    root = etree.fromstring(answer.body)
    for items in root.iter(f"{{{TYPES}}}Items"):
        del items[len(items) // 2 :]
    cut = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return web.Response(body=cut, content_type="text/xml", charset="utf-8")
