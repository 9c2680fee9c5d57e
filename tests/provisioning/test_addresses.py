"""Which texts are mailbox addresses, and which can be stored at all."""

import pytest

from app.provisioning.addresses import is_address
from app.provisioning.text import is_text, is_username


@pytest.mark.parametrize(
    "address",
    [
        "alice@uni.example",
        "a.liddell+timetable@mail.uni.example",
        "o'brien@uni.example",
        "ALICE@UNI.EXAMPLE",
        "zoë@universität.example",
        "alice@localhost",
        "x" * 64 + "@uni.example",
    ],
)
def test_an_address(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "alice",
        "@uni.example",
        "alice@",
        "alice@@uni.example",
        "alice@bob@uni.example",
        ".alice@uni.example",
        "alice.@uni.example",
        "a..lice@uni.example",
        "alice@uni..example",
        "alice@.example",
        "alice@uni.example.",
        "alice@-uni.example",
        "alice@uni_x.example",
        "alice smith@uni.example",
        " alice@uni.example",
        "alice@uni.example\n",
        "alice\x00@uni.example",
        "alice@uni.example\ud800",
        "Alice <alice@uni.example>",
        "alice@uni.example, bob@uni.example",
        "alice@uni.example/../../bob",
        "alice@uni.example?$select=x",
        "x" * 65 + "@uni.example",
        "alice@" + "x" * 250 + ".example",
    ],
)
def test_no_address(address: str) -> None:
    assert not is_address(address)


@pytest.mark.parametrize("text", ["", "Zoë", "日本", "👩‍🎓", "a" * 1000, "\u00a0", "\\", "%"])
def test_text(text: str) -> None:
    assert is_text(text)


@pytest.mark.parametrize("text", ["\x00", "\n", "\x7f", "\x85", "a\ud800", "a" * 1001])
def test_no_text(text: str) -> None:
    assert not is_text(text)


def test_usernames_are_not_empty_and_have_an_end() -> None:
    assert is_username("a" * 255)
    assert not is_username("a" * 256)
    assert not is_username("")
