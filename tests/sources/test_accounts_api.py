"""``/api/v1/integrated-account``: credentials go in, and never out."""

from typing import Any
from uuid import UUID

import pytest

from app.config import Config, DatabaseSettings
from app.database.types import Pool
from app.sources.accounts import open_account
from app.sources.secrets import open_vault
from tests.api.conftest import Client
from tests.clock import SettableClock
from tests.sources.world import World

PATH = "/api/v1/integrated-account"

ACCOUNT = {
    "integration_name": "fake",
    "base_url": "https://timetable.uni.example/api/",
    "credentials": {"token": "s3cret", "other": "h1dden"},
    "settings": {"pages": {"size": 100}},
    "environment_id": "production",
}


@pytest.fixture
async def account(client: Client) -> dict[str, Any]:
    answer = await client.post(PATH, json=ACCOUNT)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def credentials(pool: Pool, config: Config, id: str) -> dict[str, str]:
    return dict((await open_account(pool, open_vault(config), UUID(id))).credentials)


async def test_an_account_is_given_out_without_its_credentials(
    client: Client, account: dict[str, Any], pool: Pool
) -> None:
    assert account == {
        "id": account["id"],
        "integration_name": "fake",
        "base_url": "https://timetable.uni.example/api",
        "settings": {"pages": {"size": 100}},
        "has_credentials": True,
        "environment_id": "production",
        "created_at": "2026-09-01T08:00:00Z",
        "updated_at": "2026-09-01T08:00:00Z",
    }
    answers = [
        await client.get(PATH),
        await client.get(f"{PATH}/{account['id']}"),
        await client.patch(f"{PATH}/{account['id']}", json={"settings": {}}),
    ]
    assert all(answer.status_code == 200 and "s3cret" not in answer.text for answer in answers)


async def test_they_are_not_to_be_found_in_the_database(account: dict[str, Any], pool: Pool) -> None:
    row = await pool.fetchrow("SELECT * FROM integrated_accounts")
    assert row is not None
    assert b"s3cret" not in row["credentials"]
    assert "s3cret" not in repr(row)


async def test_they_are_never_logged(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    for body in (ACCOUNT, ACCOUNT | {"settings": 3}, ACCOUNT | {"credentials": {"x": ["s3cret"]}}):
        answer = await client.post(PATH, json=body)
        assert "s3cret" not in answer.text
    output = capsys.readouterr()
    assert "s3cret" not in output.out + output.err


@pytest.mark.parametrize(
    ("patch", "left"),
    [
        ({"base_url": "https://timetable.uni.example/v2"}, {"token": "s3cret", "other": "h1dden"}),
        (
            {"base_url": "https://new.uni.example", "credentials": {"token": "new", "other": None}},
            {"token": "new"},
        ),
        ({"credentials": {"token": "new"}}, {"token": "new", "other": "h1dden"}),
        ({"credentials": {"other": None}}, {"token": "s3cret"}),
    ],
)
async def test_a_patch_leaves_the_credentials_that_it_does_not_name(
    client: Client,
    account: dict[str, Any],
    pool: Pool,
    config: Config,
    patch: dict[str, Any],
    left: dict[str, str],
) -> None:
    answer = await client.patch(f"{PATH}/{account['id']}", json=patch)
    assert answer.status_code == 200, answer.text
    assert await credentials(pool, config, account["id"]) == left


@pytest.mark.parametrize("credentials", [{}, {"credentials": {}}, {"credentials": {"token": "new"}}])
@pytest.mark.parametrize(
    "base_url",
    ["https://evil.example", "http://timetable.uni.example/api", "https://timetable.uni.example:8443"],
)
async def test_they_do_not_move_to_another_server_unseen(
    client: Client, account: dict[str, Any], base_url: str, credentials: dict[str, Any]
) -> None:
    """Whoever could send them to a server of their own would come to know them."""
    answer = await client.patch(f"{PATH}/{account['id']}", json={"base_url": base_url, **credentials})
    assert answer.status_code == 422, answer.text
    assert [problem["field"] for problem in answer.json()["problems"]] == ["base_url"]
    assert (await client.get(f"{PATH}/{account['id']}")).json() == account


@pytest.mark.parametrize(
    "patch", [{}, {"environment_id": "production"}, {"credentials": {"token": "s3cret"}}]
)
async def test_what_is_so_already_is_no_change(
    client: Client, account: dict[str, Any], clock: SettableClock, patch: dict[str, Any]
) -> None:
    """So that the next run need not read everything anew."""
    clock.advance(minutes=1)
    answer = await client.patch(f"{PATH}/{account['id']}", json=patch)
    assert (answer.status_code, answer.json()) == (200, account)


async def test_what_the_integration_needs_cannot_be_taken_out(
    client: Client, account: dict[str, Any]
) -> None:
    answer = await client.patch(f"{PATH}/{account['id']}", json={"credentials": None})
    assert answer.status_code == 422
    assert answer.json()["problems"] == [{"field": "credentials.token", "detail": "Missing."}]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"integration_name": "nobody"}, "integration_name"),
        ({"base_url": "ftp://uni.example"}, "base_url"),
        ({"base_url": "https://"}, "base_url"),
        ({"base_url": "https://uni example"}, "base_url"),
        ({"base_url": "https://user:password@uni.example"}, "base_url"),
        ({"base_url": "https://s3cret@uni.example"}, "base_url"),
        ({"base_url": "https://uni.example/api?apikey=s3cret"}, "base_url"),
        ({"base_url": "https://uni.example/api?"}, "base_url"),
        ({"base_url": "https://uni.example/api#s3cret"}, "base_url"),
        ({"base_url": "https://uni.example:x"}, "base_url"),
        ({"base_url": "https://uni.example/\n"}, "base_url"),
        ({"credentials": {"token": 3}}, "credentials.token"),
        ({"credentials": {}}, "credentials.token"),
        ({"credentials": {"token": "x" * 30_000}}, "credentials.token"),
        ({"settings": {"x": "y" * 200_000}}, "settings"),
        ({"environment_id": ""}, "environment_id"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_place(
    client: Client, change: dict[str, Any], field: str
) -> None:
    answer = await client.post(PATH, json=ACCOUNT | change)
    assert answer.status_code == 422, answer.text
    assert [problem["field"] for problem in answer.json()["problems"]] == [field]
    assert "s3cret" not in answer.text


async def test_an_account_stays_with_its_integration(client: Client, account: dict[str, Any]) -> None:
    answer = await client.patch(f"{PATH}/{account['id']}", json={"integration_name": "other"})
    assert answer.json()["problems"][0]["field"] == "integration_name"


async def test_one_with_a_run_is_not_deleted(client: Client, world: World) -> None:
    account = await world.account()
    run = await world.begin(await world.job({"resource": "a"}, args_schema={}), account)
    answer = await client.delete(f"{PATH}/{account}")
    assert (answer.status_code, answer.json()["run"]) == (409, str(run.id))
    await client.delete(f"/api/v1/sync-job-run/{run.id}")
    assert (await client.delete(f"{PATH}/{account}")).status_code == 204
    assert (await client.get(f"{PATH}/{account}")).status_code == 404


class TestWithoutAKey:
    @pytest.fixture
    def config(self) -> Config:
        """As with a database that others share, and no key."""
        return Config(instance="test.example", database=DatabaseSettings(url="postgresql://db/rooster"))

    async def test_no_account_is_kept(self, client: Client) -> None:
        answer = await client.post(PATH, json=ACCOUNT)
        assert (answer.status_code, answer.json()["code"]) == (409, "no_encryption_key")
        assert "openssl rand -base64 32" in answer.json()["detail"]
        assert (await client.get(PATH)).json()["integrated_accounts"] == []


async def test_a_run_whose_credentials_cannot_be_read_says_what_to_do(world: World) -> None:
    job, account = await world.job({"resource": "a"}, args_schema={}), await world.account()
    await world.pool.execute("UPDATE integrated_accounts SET credentials = credentials || '\\x00'")
    run = await world.run(job, account)
    assert run.state == "failed"
    assert "set the credentials anew" in (run.detail or "")
