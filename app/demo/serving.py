"""``rooster demo --serve``: the stage stays, for somebody to try the API by hand."""

import asyncio

from rich.console import Console

from app.api.app import create_app
from app.api.server import listen
from app.clock import system_clock
from app.demo.stage import Stage
from app.sync.worker import Worker
from app.tokens import create_token

__all__ = ["serve_stage"]


async def serve_stage(stage: Stage, host: str, port: int, stop: asyncio.Event, console: Console) -> None:
    """Serve the API over the stage, and work, until ``stop`` is set. Tells how to use it."""
    async with stage.pool.acquire() as connection:
        token = await create_token(connection, "demo", "admin")
    app = create_app(stage.pool, stage.adapters, stage.config, system_clock)
    worker = Worker(stage.pool, stage.adapters, stage.config, system_clock)

    def ready(url: str) -> None:
        console.print(_invitation(url, token, stage), markup=False, highlight=False, soft_wrap=True)

    await asyncio.gather(listen(app, host, port, stop, ready), worker.run(stop))


def _invitation(url: str, token: str, stage: Stage) -> str:
    mailbox = f"{stage.mailboxes.control}/mailboxes/o365/ada@uni.example/events"
    return f"""
Rooster answers at {url}, its documentation is at {url}/schema. Try it:

  TOKEN={token}
  curl -X PUT -H "apiToken: $TOKEN" {url}/api/v0/users/ada
  curl -X PUT -H "apiToken: $TOKEN" -H "Content-Type: application/json" {url}/api/v1/users/ada/timetable \\
    -d '{{"events": [{{"uid": "1", "title": "Lecture",
         "start": "2030-01-07T09:00:00", "end": "2030-01-07T10:45:00"}}]}}'
  curl -X PUT -H "apiToken: $TOKEN" {url}/api/v0/synchronizations \\
    -d username=ada -d type=o365 -d provisioning_smtpAddress=ada@uni.example

What is in her mailbox:

  curl --cacert {stage.ca_file} {mailbox}

Ctrl-C stops, and takes all of it away again.
"""
