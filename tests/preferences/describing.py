"""A description of a preference to try things on, and what is asked of the answers."""

from typing import Any

from tests.api.conftest import Client

PATH = "/api/v1/preference-descriptions"
NAMES = {"en": "Colour scheme", "nl": "Kleurenschema"}
TEXTS = {"en": "How it looks.", "nl": "Hoe het eruitziet.", "fy": "Hoe't it der útsjocht."}
SCHEME: dict[str, Any] = {
    "section": "faculty",
    "key": "colourScheme",
    "name": NAMES,
    "description": TEXTS,
    "valueType": "text",
    "allowedValues": ["calm", "vivid"],
}


async def add(client: Client, **changes: Any) -> dict[str, Any]:
    """A new description."""
    answer = await client.post(PATH, json=SCHEME | changes)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def builtin(client: Client, preference: str) -> dict[str, Any]:
    """One of Rooster's own, by its section.key."""
    found = (await client.get(PATH)).json()["preferenceDescriptions"]
    [description] = [one for one in found if f"{one['section']}.{one['key']}" == preference]
    assert description["isBuiltin"]
    return dict(description)


def fields(answer: Any) -> list[str | None]:
    """The fields that an answer finds fault with."""
    assert answer.headers["content-type"] == "application/problem+json"
    problems = answer.json().get("problems", [])
    assert all(problem["detail"].endswith(".") for problem in problems)
    return [problem.get("field") for problem in problems]
