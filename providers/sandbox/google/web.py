"""The HTTP routes: the token endpoint, the API's calls and its batch endpoint."""

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import msgspec
from aiohttp import web

from providers.sandbox.faults import cut_connection, send_half
from providers.sandbox.google import tokens as token_endpoint
from providers.sandbox.google.batch import Part, read_batch, write_batch
from providers.sandbox.google.discovery import match
from providers.sandbox.google.errors import ApiError, from_fault
from providers.sandbox.google.service import TYPE, Answer, Call, Ending, Service
from providers.sandbox.google.tokens import TokenError, Tokens
from providers.sandbox.state import Fault, State

__all__ = ["routes"]

BATCH = "$batch"
TOKEN = "token"  # noqa: S105 - the name of an operation

_ENDINGS: dict[str, Ending] = {"commit_then_drop": "drop", "partial": "cut", "truncated": "truncated"}


def routes(state: State, base_url: Callable[[], str]) -> list[web.AbstractRouteDef]:
    """The routes of the Calendar API for the sandbox's server at ``base_url()``."""
    tokens = Tokens(state, lambda: f"{base_url()}/token")
    site = _Site(state, tokens, Service(state, tokens))
    return [
        web.post("/token", site.token),
        web.post("/batch", site.batch),
        web.post("/batch/calendar/v3", site.batch),
        web.route("*", "/calendar/v3/{call:.*}", site.call),
    ]


class _Site:
    def __init__(self, state: State, tokens: Tokens, service: Service) -> None:
        self._state = state
        self._tokens = tokens
        self._service = service

    async def token(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self._state.stats.request(TYPE, TOKEN, len(body))
        fault = await self._fault(TOKEN)
        try:
            if fault is not None and (error := token_endpoint.from_fault(fault)) is not None:
                raise error
            answer = Answer(status=200, body=self._tokens.grant(dict(parse_qsl(body.decode("latin-1")))))
        except TokenError as error:
            headers = {}
            if fault is not None and fault.retry_after is not None:
                headers["Retry-After"] = f"{fault.retry_after:g}"
            answer = Answer(status=error.status, body=error.body, headers=headers)
        if fault is not None:
            answer = msgspec.structs.replace(answer, ending=_ENDINGS.get(fault.fault, "whole"))
        return await _respond(request, answer)

    async def call(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        method, query = request.method, request.rel_url.raw_query_string
        if method == "POST" and "X-HTTP-Method-Override" in request.headers:
            # The client library sends a query of more than 2048 characters as a form.
            method, query, body = request.headers["X-HTTP-Method-Override"], body.decode("latin-1"), b""
        call = Call(
            method=method,
            path=request.rel_url.raw_path,
            query=parse_qsl(query, keep_blank_values=True),
            headers={name.casefold(): value for name, value in request.headers.items()},
            body=body,
        )
        self._state.stats.request(TYPE, _name(call), len(body))
        answer = await self._service.call(call)
        return await _respond(request, answer)

    async def batch(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self._state.stats.request(TYPE, BATCH, len(body))
        fault = await self._fault(BATCH)
        try:
            if fault is not None and (error := from_fault(fault)) is not None:
                raise error
            parts = read_batch(request.headers.get("Content-Type", ""), body)
        except ApiError as error:
            return await _respond(request, Answer.of(error))
        if fault is not None and fault.fault == "partial":
            parts = parts[: (len(parts) + 1) // 2]
        inherited = {"authorization": request.headers.get("Authorization", "")}
        answers = [(part.content_id, await self._service.call(_call(part, inherited))) for part in parts]
        endings = {answer.ending for _, answer in answers}
        if fault is not None and fault.fault == "commit_then_503":
            return await _respond(request, Answer.of(ApiError(503, "backendError", "Backend Error")))
        if "drop" in endings or (fault is not None and fault.fault == "commit_then_drop"):
            return cut_connection(request)
        content_type, content = write_batch(
            [(content_id, answer.status, *answer.encoded()) for content_id, answer in answers]
        )
        if "cut" in endings:
            return await send_half(request, 200, content)
        if fault is not None and fault.fault == "truncated":
            content = content[: len(content) // 2]
        return web.Response(headers={"Content-Type": content_type}, body=content)

    async def _fault(self, operation: str) -> Fault | None:
        """The fault for a request as a whole; a slow one has been waited for."""
        fault = self._state.faults.take(TYPE, operation)
        if fault is not None and fault.fault == "slow":
            await self._state.sleep(float(fault.options.get("delay", 5)))
        return fault


def _call(part: Part, inherited: dict[str, str]) -> Call:
    target = urlsplit(part.target)
    return Call(
        method=part.method,
        path=target.path,
        query=parse_qsl(target.query, keep_blank_values=True),
        headers=inherited | part.headers,
        body=part.body,
    )


def _name(call: Call) -> str:
    try:
        return match(call.method, call.path)[0].id
    except ApiError:
        return "unknown"


async def _respond(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Send the answer, or end the connection before or in the middle of it."""
    headers, body = answer.encoded()
    if answer.ending == "drop":
        return cut_connection(request)
    if answer.ending == "cut":
        return await send_half(request, answer.status, body)
    return web.Response(status=answer.status, headers=headers, body=body)
