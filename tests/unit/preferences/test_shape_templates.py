"""Templates for the texts of events: what they can say, and that nothing in them can take long."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from app.preferences.templates import FAILURES, MAX_RESULT, Template, check_template
from tests.sync.world import event

LECTURE = event(
    "Lect/1",
    datetime(2026, 9, 7, 7, tzinfo=UTC),
    end=datetime(2026, 9, 7, 8, 45, tzinfo=UTC),
    title="Computing",
    description="Bring a pencil.",
    location="Hall 1",
    categories=("Lecture", "Year 1"),
    url="https://timetable.example/1",
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Computing", "Computing"),
        ("{{ title }} ({{ location }})", "Computing (Hall 1)"),
        ("{{ uid }} {{ url }} {{ description }}", "Lect/1 https://timetable.example/1 Bring a pencil."),
        ("{{ start }}", "2026-09-07 09:00:00+02:00"),
        ("{{ start | strftime('%-d %B %H:%M') }}-{{ end.hour }}h", "7 September 09:00-10h"),
        ("{{ categories | join(', ') }}", "Lecture, Year 1"),
        ("{{ categories | first | upper }} {{ categories[-1] | lower }}", "LECTURE year 1"),
        ("{{ title[:4] }} {{ title | truncate(5) }} {{ title | length }}", "Comp Comp… 9"),
        ("{{ title | replace('C', 'c') }}", "computing"),
        ("{{ '  a' | trim | capitalize }}", "A"),
        ("{% if 'Lecture' in categories %}!{% elif allDay %}?{% else %}.{% endif %}", "!"),
        ("{{ 'whole day' if allDay else location }}", "Hall 1"),
        ("{% if not allDay and (location == 'Hall 1' or url) %}x{% endif %}", "x"),
        ("{{ '' | default('none') }} {{ categories[7] | default('none') }}", "none none"),
        ("{{ categories[1] is defined }} {{ categories[2] is defined }}", "True False"),
        ("{# a remark #}{% raw %}{{ title }}{% endraw %}", "{{ title }}"),
        ("<b>{{ '<' }}</b>", "<b><</b>"),
    ],
)
def test_what_they_can_say(template: str, expected: str) -> None:
    assert check_template(template) is None
    assert Template(template).render(LECTURE) == expected


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ title", "Line 1: unexpected end of template"),
        ("\n\n{% if title %}", "Line 3: Unexpected end of template"),
        ("{{ titel }}", "Line 1: There is no field 'titel'. Known are: title, description,"),
        ("\n{{ title | uper }}", "Line 2: There is no filter 'uper'. Known are: "),
        ("{{ title is odd }}", "Line 1: There is no test 'odd'."),
        ("{{ start.tzinfo }}", "Line 1: There is no 'tzinfo'. Of start and end there are: day,"),
        ("{{ title.__class__ }}", "Line 1: There is no '__class__'."),
        ("{{ title['upper'] }}", "Line 1: What stands in [ ] is a whole number"),
        ("{{ title[::2] }}", "Line 1: What stands in [ ] is a whole number"),
        ("{{ title | attr('upper') }}", "Line 1: There is no filter 'attr'."),
        ("{{ title.upper() }}", "Line 1: Nothing can be called"),
        ("{{ range(10**9) | join }}", "Line 1: Nothing can be called"),
        ("{% for i in range(10**9) %}x{% endfor %}", "Line 1: There are no loops"),
        ("{{ 'a' * 10**9 }}", "Line 1: Not possible in these templates: mul."),
        ("{{ 9**9**9 }}", "Line 1: Not possible in these templates: pow."),
        ("{{ '%1000000000d' % 1 }}", "Line 1: Not possible in these templates: mod."),
        ("{{ title ~ title }}", "Line 1: Texts are put together by writing them next to each other"),
        ("{% set a = title %}", "Line 1: There are no variables."),
        ("{% macro a() %}{{ a() }}{% endmacro %}", "Line 1: Not possible in these templates: macro."),
        ("{% include 'a' %}", "Line 1: Not possible in these templates: include."),
        ("{% extends 'a' %}", "Line 1: Not possible in these templates: extends."),
        ("{{ self }}", "Line 1: There is no field 'self'."),
        ("{{ start | strftime('%1000000000d') }}", "strftime knows %a"),
        ("{{ title | replace('', '" + "x" * 4000 + "') }}", "A text of more than 30000 characters."),
        ("\n{{ title | upper(1) }}", "Line 2: fails on an event that has everything: "),
        ("{{ start | upper }}", "Line 1: fails on an event that has everything: This filter is for texts."),
        ("{{ categories[5] }}", "Line 1: fails on an event that has everything: "),
        ("{{ " + "(" * 3000 + " }}", "Nested too deeply."),
        ("{{ " + "not " * 60 + "title }}", "Line 1: Nested too deeply."),
        ("{{ title }}" * 501, "Line 1: More than 500 words and signs."),
        ("{{ " + "9" * 5000 + " }}", "Not a template: "),
        ("x" * 10_001, "Longer than 10000 characters."),
    ],
)
def test_what_is_refused_and_why(template: str, reason: str) -> None:
    found = check_template(template)
    assert found is not None
    assert reason in found


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'aaaa'" + " | replace('a', 'aaaa')" * 40 + " }}",
        "{{ description | join(description) | join(description) }}",
        "{{ description | replace('', description) }}",
        "{{ categories | join(description) | replace('a', description) }}",
    ],
)
def test_no_template_makes_a_large_text_out_of_a_small_one(template: str) -> None:
    large = event("1", description="a" * 30_000, categories=("a",) * 25)
    begun = time.process_time()
    with pytest.raises(FAILURES):
        Template(template).render(large)
    assert time.process_time() - begun < 5


def test_a_result_is_cut_off_before_it_is_made() -> None:
    large = event("1", description="a" * 30_000)
    made = Template("{{ description }}" * 100)
    assert len(made.render(large)) == MAX_RESULT
    assert made.render(large, 10) == "a" * 10


def test_times_are_those_of_the_events_own_clock() -> None:
    template = Template("{{ start | strftime('%Y-%m-%d %H:%M %z') }}")
    day = LECTURE.start
    assert template.render(event("1", day)) == "2026-09-07 09:00 +0200"
    assert template.render(event("1", day + timedelta(days=90))) == "2026-12-06 08:00 +0100"
