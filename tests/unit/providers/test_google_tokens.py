"""Tokens: one for each person, kept as long as it is good, asked for once."""

import json
from collections.abc import Mapping
from urllib.parse import parse_qs

import aiohttp
import jwt
import pytest

from providers.googlecalendar.replies import Answer, NoAnswer, NoToken
from providers.googlecalendar.tokens import CALENDAR_SCOPES, SCOPES, Fetched, Tokens, TokenUnavailable
from providers.sandbox.credentials import Credentials

URI = "https://oauth2.googleapis.com/token"


@pytest.fixture(scope="module")
def credentials() -> Credentials:
    return Credentials.generate()


@pytest.fixture(scope="module")
def key_file(credentials: Credentials) -> str:
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "timetables",
            "private_key_id": "1",
            "private_key": credentials.private_key,
            "client_email": "rooster@timetables.iam.gserviceaccount.com",
            "token_uri": URI,
        }
    )


class Endpoint:
    """A token endpoint that gives the answers it is told to."""

    def __init__(self, *answers: tuple[int, object] | Exception) -> None:
        self.answers = list(answers)
        self.assertions: list[str] = []

    async def __call__(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Fetched:
        assert (method, url) == ("POST", URI)
        self.assertions += parse_qs((body or b"").decode())["assertion"]
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Fetched(answer[0], {"Retry-After": "9"}, json.dumps(answer[1]).encode())


def token(text: str, seconds: int = 3600) -> tuple[int, object]:
    return 200, {"access_token": text, "expires_in": seconds, "token_type": "Bearer"}


@pytest.fixture
def opened(key_file):
    """Makes ``Tokens`` with the endpoint's answers, and closes them."""
    made = []

    def make(*answers):
        endpoint = Endpoint(*answers)
        made.append(Tokens(key_file, endpoint))
        return made[-1], endpoint

    yield make
    for tokens in made:
        tokens.close()


async def test_assertion_names_the_person_and_the_least_scopes(opened, credentials):
    tokens, endpoint = opened(token("a"))
    assert await tokens.get("alice@uni.example") == "a"
    claims = jwt.decode(endpoint.assertions[0], credentials.public_key, ["RS256"], audience=URI)
    assert claims["sub"] == "alice@uni.example"
    assert claims["iss"] == "rooster@timetables.iam.gserviceaccount.com"
    assert claims["scope"].split() == list(SCOPES)


async def test_token_is_kept_for_each_person(opened):
    tokens, endpoint = opened(token("a"), token("b"))
    assert await tokens.get("alice@uni.example") == "a"
    assert await tokens.get("bob@uni.example") == "b"
    assert await tokens.get("Alice@uni.example") == "a"
    assert len(endpoint.assertions) == 2


async def test_token_is_asked_for_anew_when_it_is_about_to_expire_or_was_refused(opened):
    tokens, _ = opened(token("a", seconds=60), token("b"), token("c"))
    assert [await tokens.get("alice@uni.example") for _ in range(3)] == ["a", "b", "b"]
    tokens.forget("alice@uni.example")
    assert await tokens.get("alice@uni.example") == "c"


async def test_tokens_of_other_scopes_are_kept_apart(opened, credentials):
    tokens, endpoint = opened(token("a"), token("b"), token("c"))
    assert await tokens.get("alice@uni.example") == "a"
    for _ in range(2):
        assert await tokens.get("alice@uni.example", CALENDAR_SCOPES) == "b"
    claims = jwt.decode(endpoint.assertions[1], credentials.public_key, ["RS256"], audience=URI)
    assert claims["scope"].split() == list(CALENDAR_SCOPES)
    tokens.forget("alice@uni.example", CALENDAR_SCOPES)
    assert await tokens.get("alice@uni.example") == "a"
    assert await tokens.get("alice@uni.example", CALENDAR_SCOPES) == "c"


async def test_tokens_of_people_not_seen_for_long_are_dropped(opened, monkeypatch):
    monkeypatch.setattr("providers.googlecalendar.tokens.KEPT", 2)
    tokens, _ = opened(token("a"), token("b"), token("c"), token("b again"))
    for name in ("alice", "bob", "alice", "carol"):
        await tokens.get(f"{name}@uni.example")
    assert await tokens.get("alice@uni.example") == "a"
    assert await tokens.get("bob@uni.example") == "b again"


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (
            (400, {"error": "invalid_grant", "error_description": "Invalid email or User ID"}),
            NoToken(error="invalid_grant", description="Invalid email or User ID"),
        ),
        ((401, {"error": "unauthorized_client"}), NoToken(error="unauthorized_client", description="")),
        ((429, {"error": "rate_limit_exceeded"}), Answer(status=429, retry_after="9")),
        ((503, {"error": "temporarily_unavailable"}), NoAnswer(why="token: ConnectionError")),
        ((400, {"error": "internal_failure"}), NoAnswer(why="token: ConnectionError")),
        ((403, "Sorry"), NoAnswer(why="token: no usable answer")),
        ((200, {"token_type": "Bearer"}), NoAnswer(why="token: no usable answer")),
        (TimeoutError(), NoAnswer(why="token: TimeoutError")),
        (aiohttp.ServerDisconnectedError(), NoAnswer(why="token: ServerDisconnectedError")),
    ],
)
async def test_no_token_has_a_reason_and_is_asked_for_once(opened, answer, reply):
    tokens, endpoint = opened(answer)
    with pytest.raises(TokenUnavailable) as caught:
        await tokens.get("alice@uni.example")
    assert caught.value.reply == reply
    assert len(endpoint.assertions) == 1


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '"key"', '{"private_key": "SECRET", "client_email": "a", "token_uri": "b"}']
)
def test_unusable_key_file_is_refused_without_repeating_it(text):
    with pytest.raises(ValueError, match="not the JSON key file") as caught:
        Tokens(text, Endpoint())
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_project_is_the_account_that_quotas_count_for(opened):
    assert opened()[0].project == "timetables"
