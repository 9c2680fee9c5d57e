"""What an account's settings are refused with: the place, and what could stand there."""

from typing import Any

import pytest

from app.sources.integrations.checks import ZoneSettings, check_settings
from app.sources.integrations.declared import HttpJsonSettings
from tests.sources.integrations.reading import account

RESOURCE = {"path": "/rooms"}
RESOURCES = {"good": RESOURCE, "bad": RESOURCE, "last": RESOURCE}


@pytest.mark.parametrize(
    ("bad", "field", "said"),
    [
        ({"path": "rooms"}, "settings.resources.bad", "slash"),
        (RESOURCE | {"times": "unix"}, "settings.resources.bad.times", "rfc3339"),
        (RESOURCE | {"pagination": {"by": "scroll"}}, "settings.resources.bad.pagination.by", "cursor"),
        (RESOURCE | {"event": {"uid": "key"}}, "settings.resources.bad.event", "title"),
        (RESOURCE | {"path": 3}, "settings.resources.bad.path", "Expected a string, got an integer."),
    ],
)
def test_a_resource_that_is_declared_wrongly_is_named(bad: dict[str, Any], field: str, said: str) -> None:
    settings = {"resources": RESOURCES | {"bad": bad}}
    [problem] = check_settings(account("https://uni.example", settings), HttpJsonSettings)
    assert problem.field == field
    assert said in problem.detail


def test_other_settings_are_too() -> None:
    [problem] = check_settings(account("https://uni.example", {"zone": 3}), ZoneSettings)
    assert (problem.field, problem.detail) == ("settings.zone", "Expected a string or null, got an integer.")
