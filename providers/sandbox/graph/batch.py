"""JSON batching: learn.microsoft.com/graph/json-batching."""

from typing import Any

import msgspec

from providers.sandbox.graph.errors import GraphError, over_concurrency, unavailable
from providers.sandbox.graph.limits import CONCURRENT
from providers.sandbox.graph.messages import Answer, Call
from providers.sandbox.graph.service import Service

__all__ = ["LARGEST", "carry_out", "parse"]

LARGEST = 20


class Item(msgspec.Struct, kw_only=True):
    """One request of a batch."""

    id: str
    method: str
    url: str
    headers: dict[str, str] = {}
    body: Any = None
    dependsOn: list[str] = []  # noqa: N815 - Graph's name


class _Batch(msgspec.Struct):
    requests: list[Item]


def parse(body: bytes) -> list[Item]:
    """The items of a batch. Raises ``GraphError`` (400): then none of them is carried out."""
    try:
        items = msgspec.json.decode(body, type=_Batch).requests
    except msgspec.DecodeError as error:
        raise _bad(f"Invalid batch payload format: {error}.") from error
    if not items:
        raise _bad("Invalid batch payload format: there are no requests.")
    if len(items) > LARGEST:
        raise _bad(f"Number of batch request steps exceeds the maximum value of {LARGEST}.")
    # "Not case-sensitive. Must be unique in the batch."
    ids = [item.id.casefold() for item in items]
    if "" in ids or len(set(ids)) != len(ids):
        raise _bad("Duplicate or empty request ids are not allowed in a batch.")
    known: set[str] = set()
    for item, id_ in zip(items, ids, strict=True):
        if not {name.casefold() for name in item.dependsOn} <= known:
            raise _bad(f"Request {item.id} depends on a request that is not before it in the batch.")
        if item.body is not None and "content-type" not in {name.casefold() for name in item.headers}:
            raise _bad(f"Write request id : {item.id} does not contain Content-Type header or body.")
        known.add(id_)
    return items


async def carry_out(service: Service, items: list[Item], application: str, *, half: bool) -> Answer:
    """Carry out the items; ``half`` carries out the first half only, the others are answered 503.

    Items run side by side unless one depends on another; more than four at once for one mailbox are too
    many. Answers come in another order than the requests, as the documentation warns.
    """
    answers: dict[str, Answer] = {}
    under_way: dict[tuple[int, str], int] = {}
    depth: dict[str, int] = {}
    for position, item in enumerate(items):
        needed = [name.casefold() for name in item.dependsOn]
        id_ = item.id.casefold()
        depth[id_] = 1 + max((depth[name] for name in needed), default=0)
        call = Call(
            method=item.method.upper(),
            url="/" + item.url.removeprefix("/"),
            headers={name.casefold(): value for name, value in item.headers.items()},
            body=item.body,
            application=application,
        )
        if any(answers[name].status >= 400 for name in needed):
            answers[id_] = Answer.of(
                GraphError(424, "FailedDependency", "A request it depends on has failed.")
            )
            continue
        if half and position >= (len(items) + 1) // 2:
            answers[id_] = Answer.of(unavailable())
            continue
        place = (depth[id_], service.mailbox_key(call))
        under_way[place] = under_way.get(place, 0) + 1
        if under_way[place] > CONCURRENT:
            answers[id_] = Answer.of(over_concurrency())
            continue
        answers[id_] = await service.serve(call)
    return Answer(
        status=200,
        body={
            "responses": [
                _response(item, answer)
                for item in reversed(items)
                if not (answer := answers[item.id.casefold()]).truncated
            ]
        },
        cut=any(answer.cut for answer in answers.values()),
    )


def _response(item: Item, answer: Answer) -> dict[str, Any]:
    response: dict[str, Any] = {"id": item.id, "status": answer.status, "headers": answer.headers}
    if answer.body is not None:
        response["headers"] = {**answer.headers, "Content-Type": "application/json"}
        response["body"] = answer.body
    return response


def _bad(message: str) -> GraphError:
    return GraphError(400, "BadRequest", message)
