"""Patterns for titles: which there are, and that their time is linear in the title."""

import time

import pytest

from app.preferences.patterns import Patterns, check_patterns
from app.preferences.rules import check_rules, read_rules


@pytest.mark.parametrize(
    ("patterns", "reason"),
    [
        (["("], "Pattern 1 is not one of RE2: missing ): (."),
        (["a", "b**"], "Pattern 2 is not one of RE2: bad repetition operator: **."),
        ([r"(a)\1"], r"Pattern 1 is not one of RE2: invalid escape sequence: \1."),
        (["a(?=b)"], "Pattern 1 is not one of RE2: invalid perl operator: (?=."),
        (["a)|(b"], "Pattern 1 is not one of RE2: unexpected ): a)|(b."),
        (["\ud800"], "Pattern 1 is not one of RE2: it holds a lone surrogate."),
        (["a" * 501], "Pattern 1 is longer than 500 characters."),
        ([r"\pL{1000}"], "Pattern 1 is not one of RE2: pattern too large - compile failed."),
        (
            [rf"{n}\pL{{15}}" for n in range(10)],
            "The patterns are too large together: pattern too large - compile failed.",
        ),
    ],
)
def test_what_is_refused_and_why(patterns: list[str], reason: str) -> None:
    assert check_patterns(patterns) == reason


@pytest.mark.parametrize("patterns", [[], ["a"], ["(?i)^a$", "(?P<x>b)", "(?P<x>c)"], ["word"] * 100, [""]])
def test_what_is_a_pattern(patterns: list[str]) -> None:
    assert check_patterns(patterns) is None


def test_one_of_them_is_enough() -> None:
    patterns = Patterns(["^Exam", "(?i)résit$", "b|q"])
    titles = {"Exam 1": True, "No exam": False, "x RÉSIT": True, "résit 1": False, "xbx": True, "日本": False}
    assert {title: patterns.match(title) for title in titles} == titles


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|aa)*$", "(a*)*b", "(.*a){12}$"])
def test_titles_that_take_other_libraries_for_ever(pattern: str) -> None:
    patterns = Patterns([pattern])
    begun = time.process_time()
    assert not patterns.match("a" * 254 + "!")
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("rules", "allowed", "reason"),
    [
        (["Lecture"], None, "Item 1: expected CATEGORY=, and behind it NAME."),
        (["a=red", "b=pink"], ["red"], "Item 2: expected CATEGORY=, and behind it one of red."),
        (["a="], ["red"], "Item 1: expected CATEGORY=, and behind it one of red."),
        (["=red"], ["red"], "Item 1: expected CATEGORY=, and behind it one of red."),
        (["a=x", "A=y"], None, "Item 2: there is a rule for this category already."),
    ],
)
def test_rules_that_are_refused_and_why(rules: list[str], allowed: list[str] | None, reason: str) -> None:
    assert check_rules(rules, allowed) == reason


def test_rules_by_category() -> None:
    rules = ["Lecture = Hoorcollege", "a=b=c", "Exam="]
    assert check_rules(rules) is None
    assert read_rules(rules) == {"lecture": "Hoorcollege", "a=b": "c", "exam": ""}
    assert read_rules(["a=red", "b=pink", "c", "A=blue"], ["red", "blue"]) == {"a": "red"}
