"""The text of an event as Google keeps it: possibly HTML, with the person's notes around ours."""

from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from providers.contract import Event
from providers.googlecalendar import descriptions
from providers.googlecalendar.descriptions import text, written
from tests.properties import examples


def says(body: str) -> Event:
    start = datetime(2026, 12, 1, 9, tzinfo=UTC)
    return Event(uid="x", title="", start=start, end=start, time_zone="UTC", description=body)


def merged(current: str, ours: list[str], body: str) -> str:
    return descriptions.merged(current, [says(one) for one in ours], says(body))


FRAGMENTS = [
    *"ab <>&;/!?#x1\"'=-[]\n",
    "<!--",
    "-->",
    "</",
    "<br>",
    "amp",
    "copy",
    "<![cdata[",
    "script",
    "é",
]


@examples()
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=15).map("".join) | st.text())
def test_what_is_written_shows_the_text(body):
    assert text(written(body)) == body


@examples()
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=15).map("".join))
def test_no_description_is_too_broken_to_be_read_and_written(current):
    """Whatever another program has put there: it stays, after our text."""
    assume("A" not in text(current))
    apart = ("\n\n", "<br><br>") if text(current).strip() else ("",)
    assert merged(current, ["A"], "A") in [f"A{gap}{current if gap else ''}" for gap in apart]


@pytest.mark.parametrize(
    "body", ["", "AT&T", "a < b > c", "https://uni.example/?a=1&b=2", "R&D; 1 & 2\n\n- x"]
)
def test_plain_text_is_written_as_it_is(body):
    assert written(body) == body


@pytest.mark.parametrize("body", ["<b>not bold</b>", "&amp;", "https://uni.example/?a=1&copy=2", "<!-- -->"])
def test_what_would_be_taken_for_html_is_escaped(body):
    assert written(body) != body
    assert "<" not in written(body)


@pytest.mark.parametrize(
    ("description", "seen"),
    [
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<p>a</p><p>b</p>", "a\n\nb\n\n"),
        ("<ul><li>a</li><li>b</li></ul>", "a\nb\n\n"),
        ("1 &lt; 2 &amp; 3&nbsp;&#8211; 4", "1 < 2 & 3\xa0\u2013 4"),
        ('see <a href="https://uni.example/?a=1&amp;b=2">there</a>', "see there"),
        ("a\n<b>b</b>\r\nc", "a\nb\r\nc"),
        ("a <!-- no --> b", "a  b"),
    ],
)
def test_html_is_read_as_people_see_it(description, seen):
    assert text(description) == seen


@pytest.mark.parametrize(
    ("current", "ours", "body", "expected"),
    [
        ("Old", "Old", "New", "New"),
        ("Old", "Old", "", ""),
        ("", "Old", "New", "New"),
        ("Mine\n\nOld\n\nToo", "Old", "New", "Mine\n\nNew\n\nToo"),
        ("Mine\n\nOld\n\nToo", "Old", "", "Mine\n\nToo"),
        ("Mine", "Old", "New", "New\n\nMine"),
        ("Mine", "Old", "", "Mine"),
        ("Old: see\nOld", "Old", "New", "Old: see\nNew"),
        ("Mine\nOld", "Old", "a <b>", "Mine\na &lt;b&gt;"),
        # Google's clients have made HTML of it.
        ("<i>Mine</i><br>Old", "Old", "New\nor", "<i>Mine</i><br>New<br>or"),
        ("<i>Mine</i>", "Old", "1 < 2", "1 &lt; 2<br><br><i>Mine</i>"),
        (
            "Old &amp; on<br>far &lt;away&gt;<br><br><b>Mine</b>",
            "Old & on\nfar <away>",
            "N",
            "N<br><br><b>Mine</b>",
        ),
        ("Mine<br><br>Old<br>Too", "Old", "", "Mine<br><br>Too"),
        # The links that Google makes of our URL.
        (
            '<p>Mine</p>Old<br><br><a href="https://x/?a=1&amp;b=2">https://x/?a=1&amp;b=2</a><br>Too',
            "Old\n\nhttps://x/?a=1&b=2",
            "New\n\nhttps://y/",
            "<p>Mine</p>New<br><br>https://y/<br>Too",
        ),
        ('<a href="https://x/">https://x/</a> Mine', "https://x/", "https://y/", "https://y/ Mine"),
        # Formatting that spans ours and theirs as well goes on for theirs.
        ("<b>Mine<br>Ol</b>d<br>Too", "Old", "New", "<b>Mine<br>New</b><br>Too"),
    ],
)
def test_ours_is_replaced_and_theirs_stays(current, ours, body, expected):
    assert merged(current, [ours], body) == expected


@pytest.mark.parametrize(
    "current", ["New", "Mine\nNew\nToo", "<b>New</b> Mine", "New &nbsp;", "<p>Mine</p><p>Ne<i>w</i></p>"]
)
@pytest.mark.parametrize("possible", [[], ["Old"], ["Old", "New"], ["Ne", "New"]])
def test_what_is_there_already_is_left_character_by_character(current, possible):
    assert merged(current, possible, "New") == current


def test_of_several_possible_texts_the_longest_is_ours():
    assert (
        merged("Room 1, bring a book\nMine", ["Room 1", "Room 1, bring a book"], "Room 2") == "Room 2\nMine"
    )


LINE = st.text("abc <>&x", min_size=1, max_size=8).map(str.strip).filter(bool)


@examples()
@given(before=LINE, ours=LINE, body=LINE, after=LINE, html=st.booleans())
def test_notes_around_ours_are_there_afterwards(before, ours, body, after, html):
    """Words of theirs that happen to be ours as well may be taken for ours; so let theirs be others."""
    before, after = f"[{before}]", f"[{after}]"
    lines = [before, f"({ours})", after]
    current = "<br>".join(map(_escaped, lines)) if html else written("\n".join(lines))
    assert text(merged(current, [f"({ours})"], f"({body})")).split("\n") == [before, f"({body})", after]


def _escaped(line):
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
