"""Graph over HTTP: who calls, what was sent, and the faults that concern a whole request."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from uuid import uuid4

import msgspec
from aiohttp import web

from providers.sandbox import entra
from providers.sandbox.faults import cut_connection, send_half
from providers.sandbox.graph import batch
from providers.sandbox.graph.errors import GraphError, access_denied, too_many_requests, unavailable
from providers.sandbox.graph.messages import TYPE, Answer, Call, ConnectionCut
from providers.sandbox.graph.service import Service
from providers.sandbox.state import State

__all__ = ["GraphHttp"]

BATCH = "$batch"


class GraphHttp:
    """Takes requests off the wire and puts answers on it."""

    def __init__(self, state: State, base_url: Callable[[], str]) -> None:
        self._state = state
        self._base_url = base_url
        self._service = Service(state, base_url)

    async def single(self, request: web.Request) -> web.StreamResponse:
        """One request on its own."""
        body = await request.read()

        async def carry_out(application: str) -> Answer:
            call = Call(
                method=request.method,
                url=request.raw_path.removeprefix("/v1.0"),
                headers={name.casefold(): value for name, value in request.headers.items()},
                body=_json(request, body),
                application=application,
            )
            self._state.stats.request(TYPE, call.operation, len(body))
            return await self._service.serve(call)

        return await self._answer(request, carry_out)

    async def batch(self, request: web.Request) -> web.StreamResponse:
        """Up to 20 requests in one."""
        body = await request.read()
        self._state.stats.request(TYPE, BATCH, len(body))
        fault = self._state.faults.take(TYPE, BATCH)
        kind = None if fault is None else fault.fault

        async def carry_out(application: str) -> Answer:
            if fault is not None:
                match kind:
                    case "throttle":
                        raise too_many_requests(fault.retry_after)
                    case "unavailable":
                        raise unavailable(fault.retry_after)
                    case "deny":
                        raise access_denied()
                    case "slow":
                        await self._state.sleep(float(fault.options.get("delay", 5)))
            items = batch.parse(body)
            answer = await batch.carry_out(self._service, items, application, half=kind == "partial")
            if kind == "commit_then_drop":
                raise ConnectionCut
            if fault is not None and kind == "commit_then_503":
                raise unavailable(fault.retry_after)
            return msgspec.structs.replace(answer, truncated=kind == "truncated")

        return await self._answer(request, carry_out)

    async def _answer(
        self, request: web.Request, carry_out: Callable[[str], Awaitable[Answer]]
    ) -> web.StreamResponse:
        try:
            answer = await carry_out(self._application(request))
        except GraphError as error:
            answer = Answer.of(error)
        except ConnectionCut:
            return cut_connection(request)
        headers = {"request-id": str(uuid4()), **answer.headers}
        if answer.body is None:
            return web.Response(status=answer.status, headers=headers)
        text = msgspec.json.encode(answer.body)
        if answer.cut:
            return await send_half(request, answer.status, text)
        if answer.truncated:
            text = text[: len(text) // 2]
        headers["Content-Type"] = "application/json; odata.metadata=minimal; charset=utf-8"
        return web.Response(status=answer.status, body=text, headers=headers)

    def _application(self, request: web.Request) -> str:
        """Who calls, by the bearer token. Raises ``GraphError`` (401)."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.casefold() != "bearer" or not token.strip():
            raise _unauthorized("Access token is empty.")
        try:
            return entra.application_of(self._state, token.strip(), self._base_url())
        except entra.InvalidToken as error:
            raise _unauthorized(str(error)) from error


def _json(request: web.Request, body: bytes) -> object:
    """The request's JSON. Raises ``GraphError`` (400)."""
    if not body:
        return None
    problem = GraphError(
        HTTPStatus.BAD_REQUEST,
        "BadRequest",
        "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of "
        "valid JSON format.",
    )
    if request.content_type != "application/json":
        raise problem
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise problem from error


def _unauthorized(message: str) -> GraphError:
    return GraphError(HTTPStatus.UNAUTHORIZED, "InvalidAuthenticationToken", message)
