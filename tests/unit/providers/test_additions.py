"""How notes and categories of a person survive an update of the text and the categories."""

import pytest

from providers.additions import merged_body, merged_categories, only_ours
from providers.contract import Content, Event
from providers.texts import plain
from tests.unit.providers.ews_server import event


def says(text: str) -> Event:
    return event(description=text)


@pytest.mark.parametrize(
    ("current", "merged"),
    [
        ("Bring a book.", "Bring two books."),
        ("Bring a book.\n\nAsk about the exam", "Bring two books.\n\nAsk about the exam"),
        ("Sit with Bob\nBring a book.", "Sit with Bob\nBring two books."),
        ("!! Bring a book. !!", "!! Bring two books. !!"),
        ("My own words", "Bring two books.\n\nMy own words"),
        ("", "Bring two books."),
        (" \n", "Bring two books."),
        ("Bring\xa0a book. \r\nYes", "Bring two books. \r\nYes"),
        ("Bring a book. Bring a book.", "Bring two books. Bring a book."),
    ],
)
def test_our_text_is_replaced_and_theirs_stays(current: str, merged: str):
    assert merged_body(current, [says("Bring a book.")], says("Bring two books.")) == merged


def test_our_text_is_found_whatever_became_of_its_lines():
    before = says("One\n\n  Two\nThree (4+)")

    assert merged_body("Mine\r\nOne \r\n\r\nTwo\r\nThree (4+)\r\nToo", [before], says("New")) == (
        "Mine\r\nNew\r\nToo"
    )


@pytest.mark.parametrize("apart", ["\n", "\n\n", "\r\n\r\n\r\n", "\n \xa0\n"])
def test_empty_lines_are_the_clients_doing_and_nobodys_words(apart: str):
    """Clients that turn a text into HTML and back make one of two, or two of one."""
    before = event(description="One\n\nTwo", url="https://uni.example/")
    current = apart.join(["Mine", "One", "Two", "https://uni.example/", "Too"])

    assert plain(before.body) in plain(current)
    assert merged_body(current, [before], says("New")) == f"Mine{apart}New{apart}Too"
    assert merged_body(current, [before], before) == current


def test_our_text_on_lines_of_its_own_comes_before_one_in_their_words():
    assert merged_body("Algebra: see A\nA\n", [says("A")], says("B")) == "Algebra: see A\nB\n"
    assert merged_body("Algebra: see A\r\nA\r\nMine", [says("A")], says("B")) == (
        "Algebra: see A\r\nB\r\nMine"
    )


def test_our_text_is_not_found_in_the_middle_of_their_words():
    assert merged_body("All mine", [says("A")], says("B")) == "B\n\nAll mine"
    assert merged_body("Mine, A.", [says("A")], says("B")) == "Mine, B."
    assert merged_body("Mine(A!)?", [says("(A!)")], says("B")) == "MineB?"


def test_a_new_text_that_is_a_word_of_theirs_is_not_taken_for_it():
    assert merged_body("see A there", [says("")], says("A")) == "A\n\nsee A there"
    assert merged_body("see A there\n A", [says("A")], says("")) == "see A there"


def test_our_text_goes_and_theirs_stays():
    assert merged_body("Mine\n\nOld\n\nToo", [says("Old")], says("")) == "Mine\n\nToo"
    assert merged_body("Old\n", [says("Old")], says("")) == ""
    assert merged_body("Mine", [says("Old")], says("")) == "Mine"


def test_our_text_comes_to_an_event_that_had_none():
    assert merged_body("Mine", [says("")], says("New")) == "New\n\nMine"


def test_of_several_possible_texts_the_longest_is_ours():
    possible = [says("Room 1"), says("Room 1, bring a book")]

    assert merged_body("Room 1, bring a book\nMine", possible, says("Room 2")) == "Room 2\nMine"
    assert merged_body("Room 1\nMine", possible, says("Room 2")) == "Room 2\nMine"


@pytest.mark.parametrize("possible", [[], ["Old", "New text"], ["Old"]])
def test_a_text_that_is_there_already_is_not_put_there_twice(possible: list[str]):
    assert merged_body("New text\nMine", map(says, possible), says("New text")) == "New text\nMine"


def test_their_categories_stay_and_ours_from_before_go():
    before, after = event(categories=("Lecture", "Algebra")), event(categories=("Exam", "Algebra"))

    assert merged_categories(("Lecture", "Mine", "Algebra"), [before], after) == ("Exam", "Algebra", "Mine")
    assert merged_categories(("Mine",), [], after) == ("Exam", "Algebra", "Mine")


def test_whether_anything_is_theirs():
    ours = event(description="Text", categories=("A", "B"))

    def content(body: str, *categories: str) -> Content:
        return Content(
            title="Theirs",
            start=ours.start,
            end=ours.end,
            all_day=False,
            location="",
            body=body,
            categories=categories,
            show_as="busy",
        )

    assert only_ours(content("Text\r\n", "B", "A"), ours)
    assert not only_ours(content("Text\nnote", "B", "A"), ours)
    assert not only_ours(content("Text", "B", "A", "Mine"), ours)
    assert not only_ours(content("Text", "A"), ours)
