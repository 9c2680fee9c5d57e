"""What integrations ask sources with: a request that waits when told to, and is repeated when that helps."""

import asyncio
import gc
from datetime import timedelta
from typing import Any

import msgspec

from app.clock import Clock
from app.sources.contract import Context, ReadFailed, Throttled
from app.sources.fetch import Answer, Fetcher, FetchFailed, Request
from app.sources.pace import Sleep

__all__ = ["Client", "decode_json"]

ATTEMPTS = 4
PAUSE_SECONDS = 1.0
"""Before the second attempt; it doubles with each further one."""
RESTS = 20
"""How often in a row a source may ask us to wait with one request."""
DEFAULT_REST = timedelta(seconds=10)
"""Where it does not say for how long."""
OF_STATUS = {
    401: "does not accept the account's credentials.",
    403: "does not allow the account to read this.",
    404: "has nothing at this address. Check the account's address, and the resource's id.",
    410: "has nothing at this address any more.",
}


class Client:
    """Asks sources for integrations. One serves all runs of a process."""

    def __init__(self, fetcher: Fetcher, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._sleep = sleep

    async def get(self, request: Request, context: Context) -> Answer:
        """The answer to a GET: its status is 200, or 304 if the request has a condition.

        429, and 503 with Retry-After, are waited for by ``context.rest``, also where another request was told
        to wait by the same host; other failures of the server and the network are tried again shortly. Raises
        ReadFailed for whatever else is no such answer.
        """
        attempts = rests = 0
        while True:
            try:
                problem, answer = await self._try(request)
            except Throttled as error:  # nothing was sent
                await context.rest(error.until)
                continue
            if answer is not None:
                wait = answer.retry_after(self._clock())
                if answer.status == 429 or (answer.status == 503 and wait is not None):
                    rests += 1
                    if rests > RESTS:
                        raise ReadFailed(f"The source asked {RESTS} times in a row to wait. {problem}")
                    until = wait or self._clock() + DEFAULT_REST
                    self._fetcher.rest(answer, until)
                    await context.rest(until)
                    continue
                if answer.status == 200 or (answer.status == 304 and _has_condition(request)):
                    return answer
                if answer.status < 500:
                    raise ReadFailed(problem)
            attempts += 1
            if attempts == ATTEMPTS:
                raise ReadFailed(f"{problem} It was tried {ATTEMPTS} times.")
            await self._sleep(PAUSE_SECONDS * 2 ** (attempts - 1))

    async def _try(self, request: Request) -> tuple[str, Answer | None]:
        """What is wrong with the answer, and the answer if one came that is worth looking at."""
        try:
            answer = await self._fetcher.fetch(request)
        except FetchFailed as error:
            if error.passing:
                return error.message, None
            raise ReadFailed(error.message) from error
        said = OF_STATUS.get(answer.status, f"answers with HTTP status {answer.status}.")
        return f"The source {said}", answer


def decode_json(answer: Answer) -> Any:
    """The answer's JSON. Raises ReadFailed: an answer that is none is never an empty one."""
    # A long answer becomes very many objects, none of which is garbage: to look for some among them takes as
    # long as all the rest, and nothing else in this process goes on meanwhile.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ReadFailed("The source's answer is not JSON, or was cut off.") from None
    finally:
        if collecting:
            gc.enable()


def _has_condition(request: Request) -> bool:
    return not {"if-none-match", "if-modified-since"}.isdisjoint(name.lower() for name in request.headers)
