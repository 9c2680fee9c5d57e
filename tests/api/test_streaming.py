"""Lists of a whole campus, in bounded memory (CONTRACT §4)."""

import tracemalloc

import msgspec

from app.api.streaming import PAGE, stream_list
from app.database.types import Pool
from app.provisioning import synchronizations, users
from app.provisioning.synchronizations import Synchronization
from tests.api.conftest import Client

CAMPUS = 100_000


async def fill(pool: Pool, people: int) -> None:
    await pool.execute(
        "INSERT INTO users (username) SELECT 'u' || i FROM generate_series(1, $1) AS i", people
    )
    await pool.execute(
        "WITH m AS (INSERT INTO mailboxes (type, address) VALUES ('ews', 'all@uni.example') RETURNING id)"
        " INSERT INTO synchronizations (username, type, mailbox_id, address)"
        " SELECT username, 'ews', m.id, username || '@uni.example' FROM users, m",
    )


async def test_a_campus_is_listed_in_the_memory_of_a_page(pool: Pool) -> None:
    await fill(pool, CAMPUS)
    stream = await stream_list("synchronizations", synchronizations.pages(pool, PAGE))
    total, ids, rest = 0, 0, b""
    tracemalloc.start()
    try:
        async for piece in stream.iterator:
            assert isinstance(piece, bytes)
            total += len(piece)
            ids += piece.count(b'"id":')
            rest = piece[-1:]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ids == CAMPUS
    assert rest == b"}"
    assert peak < total / 5, f"{peak} bytes at the peak for an answer of {total}"


async def test_no_connection_is_held_while_a_slow_client_reads(pool: Pool) -> None:
    await fill(pool, 2 * PAGE + 1)
    pages = synchronizations.pages(pool, PAGE)
    sizes = []
    async for page in pages:
        sizes.append(len(page))
        assert pool.get_idle_size() == pool.get_size()
    assert sizes == [PAGE, PAGE, 1]


async def test_the_answer_is_whole(client: Client, pool: Pool) -> None:
    await fill(pool, 2 * PAGE + 1)
    answer = await client.get("/api/v0/synchronizations")
    found = msgspec.convert(answer.json()["synchronizations"], list[Synchronization])
    ids = [synchronization.id for synchronization in found]
    assert ids == sorted(set(ids))
    assert len(ids) == 2 * PAGE + 1


async def test_what_is_unlinked_meanwhile_does_no_harm(pool: Pool) -> None:
    await fill(pool, 2 * PAGE)
    pages = synchronizations.pages(pool, PAGE)
    first = await anext(pages)
    await pool.execute("UPDATE synchronizations SET unlinked_at = now() WHERE id > $1", first[-1].id)
    assert [page async for page in pages] == []


async def test_usernames_page_by_page(pool: Pool) -> None:
    await fill(pool, 3)
    assert [page async for page in users.pages(pool, 2)] == [["u1", "u2"], ["u3"]]
