"""Whatever is stored, shaping goes on; whatever is sent, checking it comes to an answer."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.preferences.builtin import SYNTAX
from app.preferences.patterns import check_patterns
from app.preferences.rules import check_rules, read_rules
from app.preferences.shape import LeftOut, Shape
from app.preferences.templates import FAILURES, Template, check_template
from app.timetables.event import LINE, LINES
from providers.contract import Event
from tests.properties import examples
from tests.sync.world import event

NAMES = (*SYNTAX, "presentation.showAs", "presentation.privacy")
EVENT = event("1", title="Computing", categories=("Lecture", "A=b"), description="Bring\na pencil.")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)
WORDS = (
    "title start categories allDay 'a' '\\0' 0 -1 7 | . [ ] ( ) : , == < in not and is if else hour ~ * + %"
    " upper trim join(title) first last length default('b') truncate(3) replace('',title) strftime('%H')"
    " defined \ud800"
)
EXPRESSIONS = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=7).map(" ".join)
TEMPLATES = st.one_of(
    st.builds("a {{{{ {} }}}}\n{{# b #}}".format, EXPRESSIONS),
    st.builds("{{% if {} %}}{{{{ {} }}}}{{% endif %}}".format, EXPRESSIONS, EXPRESSIONS),
    st.text(),
)


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
@examples()
def test_shaping_never_raises(preferences: dict[str, object]) -> None:
    made = Shape.parse(preferences).shape(EVENT)
    assert isinstance(made, LeftOut | Event)


@given(TEMPLATES)
@examples(300)
def test_a_template_is_refused_in_a_sentence_or_works(text: str) -> None:
    reason = check_template(text)
    if reason is not None:
        assert reason.strip()
        return
    with suppress(*FAILURES):  # it may not be made for this one
        Template(text).render(event("2"))
    made = Shape.parse({"presentation.titleTemplate": text, "presentation.descriptionTemplate": text})
    shaped = made.shape(EVENT)
    assert isinstance(shaped, Event)
    assert shaped.title
    assert not LINE.search(shaped.title)
    assert not LINES.search(shaped.description)


@given(st.lists(st.text(alphabet="ab.*+?()[]{}|^$\\1 é\ud800", max_size=12), max_size=3))
@examples()
def test_patterns_are_refused_in_a_sentence_or_work(patterns: list[str]) -> None:
    reason = check_patterns(patterns)
    assert reason is None or reason.endswith(".")
    made = Shape.parse({"selection.excludeTitles": patterns})
    if reason is not None:
        assert made.shape(EVENT) is EVENT


@given(st.lists(st.text(alphabet="aA=b "), max_size=4))
@examples()
def test_rules_that_are_allowed_are_all_read(rules: list[str]) -> None:
    if check_rules(rules) is None:
        assert len(read_rules(rules)) == len(rules)


@pytest.mark.parametrize("name", NAMES)
def test_every_one_without_a_value(name: str) -> None:
    assert Shape.parse({name: None}).shape(EVENT) is EVENT
