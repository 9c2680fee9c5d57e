"""``Accept-Language``: which of several languages somebody reads best."""

import pytest

from app.api.languages import best_language, languages


@pytest.mark.parametrize(
    ("header", "preferred"),
    [
        pytest.param("da, en-gb;q=0.8, en;q=0.7", ["da", "en-gb", "en"], id="RFC 9110 section 12.5.4"),
        ("en;q=0.7,nl-NL , fr;q=0.700", ["nl-nl", "en", "fr"]),
        ("nl;Q=1.000", ["nl"]),
        ("nl ; q=0.5, en", ["en", "nl"]),
        ("nl;q=0, en;q=0.000", []),
        ("*", []),
        ("*, en;q=0.5", ["en"]),
        ("nl;q=0.5, nl", ["nl"]),
        (None, []),
        ("", []),
        (",,", []),
        ("nl;q=2, en;q=x, fr;x=1, a_b, é, toolonglanguage, \u0661", []),
    ],
)
def test_the_preferred_one_first(header: str | None, preferred: list[str]) -> None:
    assert languages(header) == preferred


@pytest.mark.parametrize(
    ("preferred", "best"),
    [
        (["nl"], "nl"),
        (["nl-nl"], "nl"),
        (["de", "nl"], "nl"),
        (["zh-hant-cn"], "zh-hant"),
        (["zh"], "en"),
        pytest.param(
            ["nl-x-private"], "nl", id="RFC 4647 section 3.4: a singleton goes with what follows it"
        ),
        pytest.param(["x-nl"], "en", id="a private tag has nothing to fall back to"),
        ([], "en"),
    ],
)
def test_by_lookup(preferred: list[str], best: str) -> None:
    assert best_language(preferred, ["en", "nl", "zh-hant"], "en") == best
