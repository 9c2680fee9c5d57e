"""A database that came from an old backup, rebuilt from what is really in the mailboxes."""

import asyncpg
import pytest

from app.database.embedded import embedded_database
from tests.end_to_end.installation import TYPES, Installation
from tests.end_to_end.test_main_job import ours, timetable


@pytest.mark.timeout(300)
async def test_after_an_old_backup_nothing_is_there_twice(rooster: Installation) -> None:
    server = await rooster.serve()
    ids = {type: await rooster.person(f"p-{type}", type, timetable(8)) for type in TYPES}
    for id in ids.values():
        await rooster.until_synced(id)
    before = {type: ours(await rooster.held(type, f"p-{type}@uni.example")) for type in TYPES}
    status, _, err = await rooster.run("ledger", "audit", "--all")
    assert status == 0, err
    await rooster.terminate(server)

    # The backup was made before anything had been pushed.
    async with embedded_database(rooster.folder / "data") as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute("DELETE FROM ledger")
        await connection.close()
    status, out, _ = await rooster.run("ledger", "audit", "--all")
    assert status == 1, out
    status, out, err = await rooster.run("ledger", "rebuild")
    assert status == 0, out + err

    await rooster.serve()
    await rooster.api("POST", "/v1/synchronizations/sync", 202, json={"all": True})
    for type, id in ids.items():
        await rooster.until_synced(id)
        held = ours(await rooster.held(type, f"p-{type}@uni.example"))
        assert held == before[type]
        assert {row["remoteId"] for row in await rooster.ledger(id)} == {e["id"] for e in held.values()}
    status, out, _ = await rooster.run("ledger", "audit", "--all")
    assert status == 0, out
