"""What preferences make of a published event."""

import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.preferences.shape import LeftOut, Shape
from providers.contract import Event
from tests.sync.world import event

LECTURE = event("1", title="Computing", categories=("Lecture", "Computing"), location="Hall 1")


def shaped(published: Event = LECTURE, **preferences: Any) -> Event:
    """The event for the mailbox; the first _ of a preference's name stands for its point."""
    made = Shape.parse(named(preferences)).shape(published)
    assert isinstance(made, Event)
    return made


def named(preferences: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", ".", 1): value for name, value in preferences.items()}


def test_without_preferences_it_stays_as_it_is() -> None:
    assert shaped() is LECTURE
    assert shaped(sync_people="restore", calendar_name="Rooster", selection_daysBack=1) is LECTURE


class TestSelection:
    @pytest.mark.parametrize(
        ("preference", "value", "left_out"),
        [
            ("selection.includeCategories", ["LECTURE"], False),
            ("selection.includeCategories", ["exam", "computing"], False),
            ("selection.includeCategories", ["exam"], True),
            ("selection.includeCategories", [], False),
            ("selection.excludeCategories", ["computing"], True),
            ("selection.excludeCategories", ["comput"], False),
            ("selection.excludeCategories", [], False),
            ("selection.includeTitles", ["putin"], False),
            ("selection.includeTitles", ["^Exam", "^Comp"], False),
            ("selection.includeTitles", ["^computing"], True),
            ("selection.includeTitles", ["(?i)^computing$"], False),
            ("selection.includeTitles", [], False),
            ("selection.excludeTitles", ["ing$"], True),
            ("selection.excludeTitles", ["Exam"], False),
            ("selection.excludeTitles", ["(?P<a>Exam)", "(?P<a>Comp)"], True),
        ],
    )
    def test_by_category_and_title(self, preference: str, value: list[str], left_out: bool) -> None:
        expected = LeftOut(preference) if left_out else LECTURE
        assert Shape.parse({preference: value}).shape(LECTURE) == expected

    def test_without_categories_an_event_is_none_of_those_to_include(self) -> None:
        shape = Shape.parse({"selection.includeCategories": ["Lecture"]})
        assert shape.shape(event("1")) == LeftOut("selection.includeCategories")

    def test_sees_the_event_as_published(self) -> None:
        preferences = {
            "presentation.titleTemplate": "Exam",
            "presentation.categoryNames": ["Lecture=Exam"],
            "selection.excludeTitles": ["Exam"],
            "selection.excludeCategories": ["Exam"],
        }
        made = Shape.parse(preferences).shape(LECTURE)
        assert isinstance(made, Event)
        assert (made.title, made.categories) == ("Exam", ("Exam", "Computing"))

    def test_all_of_the_rules_have_to_let_it_pass(self) -> None:
        rules: dict[str, Any] = {
            "selection.includeCategories": ["Lecture"],
            "selection.excludeCategories": ["Exam"],
            "selection.includeTitles": ["Comp"],
            "selection.excludeTitles": ["Comp"],
        }
        assert Shape.parse(rules).shape(LECTURE) == LeftOut("selection.excludeTitles")


class TestTexts:
    def test_title_and_description(self) -> None:
        made = shaped(
            presentation_titleTemplate="{{ title | upper }} ({{ location }})",
            presentation_descriptionTemplate="{{ start | strftime('%H:%M') }}-{{ end | strftime('%H:%M') }}",
        )
        assert (made.title, made.description) == ("COMPUTING (Hall 1)", "11:00-12:00")

    @pytest.mark.parametrize(
        "template", ["{{ categories[5] }}", "", "  \n ", "{{ description }}", "{{ '\\0' }}"]
    )
    def test_a_title_that_fails_or_is_empty_stays_as_published(self, template: str) -> None:
        assert shaped(presentation_titleTemplate=template).title == "Computing"

    def test_a_description_may_be_emptied_and_stays_as_published_where_it_fails(self) -> None:
        published = event("1", description="Bring a pencil.")
        assert shaped(published, presentation_descriptionTemplate="").description == ""
        failing = "{{ categories | first }}"
        assert shaped(published, presentation_descriptionTemplate=failing).description == "Bring a pencil."

    def test_a_title_is_one_line_and_no_longer_than_exchange_takes(self) -> None:
        published = event("1", description="a\n\tb\n" * 200)
        title = shaped(published, presentation_titleTemplate="{{ description }}").title
        assert title.startswith("a b a b ")
        assert len(title) == 255

    def test_a_description_holds_what_a_calendar_can_hold(self) -> None:
        assert shaped(presentation_descriptionTemplate="a\n{{ 'b\\0\\ud800\\x1bc' }}").description == "a\nbc"
        long = event("1", description="a" * 30_000)
        made = shaped(long, presentation_descriptionTemplate="{{ description }}" * 100)
        assert len(made.description) == 30_000


class TestCategories:
    def test_are_named_as_in_the_mailbox(self) -> None:
        assert shaped(presentation_categoryNames=["LECTURE=Hoorcollege"]).categories == (
            "Hoorcollege",
            "Computing",
        )
        assert shaped(presentation_categoryNames=["computing="]).categories == ("Lecture",)

    def test_of_one_name_are_one(self) -> None:
        made = shaped(
            presentation_categoryNames=["Lecture=Class", "Computing=CLASS"],
            presentation_colourByCategory=["Computing=red", "Lecture=blue"],
        )
        assert (made.categories, made.colours) == (("Class",), {"Class": "blue"})

    def test_have_colours_under_the_mailboxes_names(self) -> None:
        colours = ["lecture=teal", "Exam=red"]
        assert shaped(presentation_colourByCategory=colours).colours == {"Lecture": "teal"}
        named = shaped(
            presentation_colourByCategory=colours, presentation_categoryNames=["Lecture=Hoorcollege"]
        )
        assert named.colours == {"Hoorcollege": "teal"}

    def test_that_are_left_off_have_no_colour(self) -> None:
        made = shaped(presentation_colourByCategory=["Lecture=teal"], presentation_categoryNames=["Lecture="])
        assert (made.categories, made.colours) == (("Computing",), {})

    def test_may_hold_an_equals_sign(self) -> None:
        published = event("1", categories=("a=b",))
        assert shaped(published, presentation_colourByCategory=["a=b=red"]).colours == {"a=b": "red"}


class TestAvailability:
    @pytest.mark.parametrize(
        ("preferences", "expected"),
        [
            ({"presentation_showAs": "free"}, "free"),
            ({"presentation_showAsByCategory": ["lecture=tentative"]}, "tentative"),
            ({"presentation_showAsByCategory": ["exam=tentative"]}, "busy"),
            ({"presentation_showAs": "free", "presentation_showAsByCategory": ["exam=tentative"]}, "free"),
            (
                {"presentation_showAs": "free", "presentation_showAsByCategory": ["lecture=tentative"]},
                "tentative",
            ),
            ({"presentation_showAsByCategory": ["computing=free", "lecture=tentative"]}, "tentative"),
            (
                {
                    "presentation_showAsByCategory": ["Lecture=free"],
                    "presentation_categoryNames": ["Lecture=Class"],
                },
                "free",
            ),
        ],
    )
    def test_shows_as_the_first_category_that_is_named_says(
        self, preferences: dict[str, Any], expected: str
    ) -> None:
        assert shaped(**preferences).show_as == expected

    def test_busy_goes_before_what_was_published(self) -> None:
        assert shaped(event("1", show_as="free"), presentation_showAs="busy").show_as == "busy"
        assert shaped(event("1", show_as="free"), presentation_privacy="normal").show_as == "free"

    @pytest.mark.parametrize(("minutes", "reminder"), [(-1, "none"), (0, 0), (15, 15), (None, None)])
    def test_reminds(self, minutes: int | None, reminder: int | str | None) -> None:
        assert shaped(presentation_reminderMinutes=minutes).reminder == reminder

    @pytest.mark.parametrize("privacy", ["normal", "private", None])
    def test_is_private(self, privacy: str | None) -> None:
        assert shaped(presentation_privacy=privacy).privacy == privacy


@pytest.mark.parametrize("value", [3, 1.5, True, "x{{", ["("], [1], [], {"a": 1}, "away", ["x"]])
def test_what_cannot_be_used_is_as_if_it_were_not_set(value: Any) -> None:
    """Whatever an earlier or later version has stored: nothing raises, and nothing is left out for it."""
    names = (
        "presentation.showAs presentation.showAsByCategory presentation.privacy presentation.categoryNames"
        " presentation.colourByCategory selection.excludeCategories selection.excludeTitles"
    )
    assert Shape.parse(dict.fromkeys(names.split(), value)).shape(LECTURE) == LECTURE
    for name in ("presentation.reminderMinutes", "presentation.titleTemplate", "selection.includeTitles"):
        Shape.parse({name: value}).shape(LECTURE)


def test_the_log_names_what_cannot_be_used_and_not_its_value() -> None:
    with capture_logs() as logs:
        Shape.parse({"presentation.titleTemplate": "{{ secret", "selection.excludeTitles": ["(secret"]})
    assert {entry["preference"] for entry in logs} == {
        "presentation.titleTemplate",
        "selection.excludeTitles",
    }
    assert "(secret" not in str(logs)


def test_ten_thousand_events_take_no_time_to_speak_of() -> None:
    """Of processor time, so that a busy machine makes no difference."""
    shape = Shape.parse(
        {
            "selection.excludeCategories": ["Exam"],
            "selection.excludeTitles": [f"(?i)^reserve {n} .*[0-9]+$" for n in range(100)],
            "presentation.titleTemplate": "{{ title }} ({{ location }})",
            "presentation.descriptionTemplate": "{% if url %}{{ url }}{% endif %}{{ categories | join }}",
            "presentation.categoryNames": ["Lecture=Hoorcollege"],
            "presentation.colourByCategory": ["Lecture=teal"],
            "presentation.showAsByCategory": ["Lecture=free"],
            "presentation.reminderMinutes": 15,
            "presentation.privacy": "private",
        }
    )
    events = [event(str(n), categories=("Lecture", "Computing"), location="Hall 1") for n in range(10_000)]
    begun = time.process_time()
    for one in events:
        shape.shape(one)
    assert time.process_time() - begun < 3
