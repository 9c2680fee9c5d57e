"""Entity tags and the preconditions that name them (RFC 9110 section 13)."""

import pytest

from app.timetables.etag import ICALENDAR, etag, expected_revisions, matches


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (None, None),
        ("*", None),
        ('"7"', {7}),
        ('"7", "8-ics"', {7, 8}),
        ('W/"7"', set()),
        ("7", set()),
        ('"x"', set()),
        ('"\u0667"', set()),
        ("", set()),
    ],
)
def test_if_match_names_revisions_by_strong_tags(header: str | None, allowed: set[int] | None) -> None:
    assert expected_revisions(header) == allowed


def test_the_tag_of_each_representation_is_accepted_and_differs() -> None:
    assert expected_revisions(etag(3, ICALENDAR)) == expected_revisions(etag(3)) == {3}
    assert etag(3, ICALENDAR) != etag(3)


@pytest.mark.parametrize(
    ("header", "same"),
    [(None, False), ("*", True), ('"7"', True), ('W/"7"', True), ('"6", "7"', True), ('"7-ics"', False)],
)
def test_if_none_match_compares_weakly(header: str | None, same: bool) -> None:
    assert matches(header, etag(7)) is same
