"""What a worker is given, wrapped so that it tells each step: database connections and adapters."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import UUID

import asyncpg

from app.database.queries import NAME, query
from providers.adapter import Adapter, Quota
from providers.contract import (
    Create,
    Delete,
    Mailbox,
    Move,
    Operation,
    Outcome,
    Permit,
    RemoteEvent,
    Update,
    always,
)
from tests.crashes.steps import Steps

__all__ = ["SteppedAdapter", "query_names", "step_requests", "stepped_connection"]


@cache
def query_names() -> dict[str, str]:
    """The names of all queries of the product, by their text."""
    return {
        query(f"{file.name.removesuffix('.sql')}.{name}"): f"{file.name.removesuffix('.sql')}.{name}"
        for file in files("sql").joinpath("queries").iterdir()
        if file.name.endswith(".sql")
        for name in NAME.findall(file.read_text(encoding="utf-8"))
    }


def stepped_connection(steps: Steps) -> type[asyncpg.Connection]:
    """A class of connections on which every statement and every commit is a step.

    A transaction is named after its first statement, the one that holds the lease aside.
    """

    class Stepped(asyncpg.Connection):  # type: ignore[type-arg]
        transaction_name: str | None = None

        async def _step(self, statement: str, call: Callable[[], Any]) -> Any:
            name = query_names().get(statement)
            if statement.startswith("BEGIN"):
                self.transaction_name = ""
            elif statement.startswith(("COMMIT", "ROLLBACK")):
                transaction, self.transaction_name = self.transaction_name, None
                if statement.startswith("COMMIT"):
                    return await steps.around([f"commit of {transaction}"], call(), delay=0)
            elif name is not None and self.transaction_name is None:
                return await steps.around([f"commit of {name}"], call(), delay=0)
            elif name is not None:
                result = await call()
                if not self.transaction_name or self.transaction_name == "mailboxes.hold":
                    self.transaction_name = name
                steps.passed(f"{name}: made, not committed")
                return result
            return await call()

        async def execute(self, query: str, *args: Any, **options: Any) -> Any:
            return await self._step(query, lambda: super(Stepped, self).execute(query, *args, **options))

        async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
            return await self._step(query, lambda: super(Stepped, self).fetch(query, *args, **options))

        async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
            return await self._step(query, lambda: super(Stepped, self).fetchval(query, *args, **options))

        async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
            return await self._step(query, lambda: super(Stepped, self).fetchrow(query, *args, **options))

    return Stepped


class SteppedAdapter:
    """An adapter whose calls are steps. Its batches are small, so that there are several in a run."""

    def __init__(
        self, adapter: Adapter, steps: Steps, owners: Callable[[list[str]], Awaitable[dict[str, bool]]]
    ) -> None:
        """``owners`` says which of these ids are in the ledger, and whether an unlinking removes them."""
        self.type = adapter.type
        self.batch = min(adapter.batch, 3)
        self.quotas: tuple[Quota, ...] = adapter.quotas
        self.idempotent_create = adapter.idempotent_create
        self._adapter = adapter
        self._steps = steps
        self._owners = owners

    def account(self, address: str) -> str:
        return self._adapter.account(address)

    async def probe(self, address: str) -> Mailbox:
        return await self._steps.around(["probe"], self._adapter.probe(address))  # type: ignore[arg-type]

    async def apply(
        self, mailbox: Mailbox, operations: Sequence[Operation], permit: Permit = always
    ) -> list[Outcome]:
        names = await self._kinds(operations)
        return await self._steps.around(names, self._adapter.apply(mailbox, operations, permit))  # type: ignore[arg-type]

    async def _kinds(self, operations: Sequence[Operation]) -> list[str]:
        deletes = [operation.id for operation in operations if isinstance(operation, Delete)]
        owners = await self._owners(deletes) if deletes else {}
        kinds = {
            {None: "removal of a late arrival", True: "unlink", False: "delete"}[owners.get(id)]
            for id in deletes
        }
        kinds |= {"update" for operation in operations if isinstance(operation, Update)}
        kinds |= {"move" for operation in operations if isinstance(operation, Move)}
        creates = [operation for operation in operations if isinstance(operation, Create)]
        if creates:
            # By themselves or not: what a late answer means differs.
            kinds.add("create" if len(creates) == len(operations) else "create beside others")
        return sorted(kinds)

    async def find(self, mailbox: Mailbox, instance: str, attempts: Sequence[UUID]) -> list[RemoteEvent]:
        return await self._steps.around(["find"], self._adapter.find(mailbox, instance, attempts))  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        # What no step of pushing, updating and unlinking needs.
        return getattr(self._adapter, name)


def step_requests(adapter: Any, steps: Steps) -> None:
    """Make every HTTP request that carries out an adapter's calls a step, those for tokens aside."""
    if adapter.type == "ews":
        for endpoint in adapter._endpoints.values():
            endpoint.post = _in_thread(endpoint.post, steps)
    elif adapter.type == "o365":
        adapter._graph._send_once = _in_loop(adapter._graph._send_once, steps)
    else:
        client = adapter._client
        client._send_one = _in_loop(client._send_one, steps)
        client._send_batch = _in_loop(client._send_batch, steps)


def _in_thread(post: Callable[..., Any], steps: Steps) -> Callable[..., Any]:
    def stepped(*args: Any, **options: Any) -> Any:
        steps.passed("HTTP request: before")
        answer = post(*args, **options)
        steps.passed("HTTP request: after")
        return answer

    return stepped


def _in_loop(send: Callable[..., Any], steps: Steps) -> Callable[..., Any]:
    async def stepped(*args: Any, **options: Any) -> Any:
        return await steps.around(["HTTP request"], send(*args, **options))

    return stepped
