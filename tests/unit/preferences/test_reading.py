"""What a description of a preference may be, and what may be changed of it."""

import json
from typing import Any, ClassVar

import msgspec
import pytest

from app.errors import Invalid
from app.preferences.document import DescriptionDocument, PreferenceDescription
from app.preferences.reading import read_document, read_patched

BARE: dict[str, Any] = {"section": "a", "key": "b", "name": {"en": "B"}, "valueType": "number"}


def wrong_fields(refused: Invalid) -> list[str | None]:
    """The fields that are found fault with."""
    assert refused.code == "invalid_description"
    assert all(problem.detail.endswith(".") for problem in refused.problems)
    return [problem.field for problem in refused.problems]


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"section": ""}, ["section"]),
        ({"section": "a.b"}, ["section"]),
        ({"section": "a\n"}, ["section"]),
        ({"key": "é"}, ["key"]),
        ({"key": "1a"}, ["key"]),
        ({"key": "x" * 65}, ["key"]),
        ({"name": {}}, ["name/en"]),
        ({"name": {"nl": "B"}}, ["name/en"]),
        ({"name": {"en": " "}}, ["name/en"]),
        ({"name": {"en": "a\nb"}}, ["name/en"]),
        ({"name": {"en": "a" * 201}}, ["name/en"]),
        ({"name": {"en": "a", "EN": "b"}}, ["name"]),
        ({"name": {"en": "a", "e": "b"}}, ["name"]),
        ({"name": {"en": None}}, ["name"]),
        ({"name": "a"}, ["name"]),
        ({"description": {"nl": "B"}}, ["description/en"]),
        ({"description": {"en": "a", "nl": "\x00"}}, ["description/nl"]),
        ({"valueType": "object"}, ["valueType"]),
        ({"minValue": 2, "maxValue": 1}, ["maxValue"]),
        ({"minValue": 2**53}, ["minValue"]),
        ({"minValue": "1"}, ["minValue"]),
        ({"minValue": True}, ["minValue"]),
        ({"valueType": "text", "minValue": -1}, ["minValue"]),
        ({"valueType": "text", "maxValue": 1.5}, ["maxValue"]),
        ({"valueType": "list", "minValue": -1}, ["minValue"]),
        ({"valueType": "bool", "minValue": 0, "maxValue": 1}, ["minValue", "maxValue"]),
        ({"valueType": "bool", "allowedValues": [True]}, ["allowedValues"]),
        ({"allowedValues": []}, ["allowedValues"]),
        ({"allowedValues": [1, "a", True, 1.0]}, [f"allowedValues/{n}" for n in (1, 2, 3)]),
        ({"valueType": "list", "allowedValues": ["a", 1]}, ["allowedValues/1"]),
        ({"minLevel": "person"}, ["minLevel"]),
        ({"minLevel": "user", "maxLevel": "role"}, ["maxLevel"]),
        ({"maxLevel": "user", "sysMaxLevel": "role"}, ["maxLevel"]),
        ({"accessFlags": {"admin": ["read"]}}, ["accessFlags/admin"]),
        ({"accessFlags": {"reader": ["read", "write"]}}, ["accessFlags/reader"]),
        ({"accessFlags": {"frontend": ["write", "write"]}}, ["accessFlags/frontend"]),
        ({"accessFlags": {"guest": []}}, ["accessFlags"]),
        ({"subGroup": ""}, ["subGroup"]),
        ({"rank": 2**31}, ["rank"]),
        ({"rank": 1.5}, ["rank"]),
        ({"default": "1"}, ["default"]),
        ({"default": True}, ["default"]),
        ({"default": 2**53}, ["default"]),
        ({"default": 4, "minValue": 5}, ["default"]),
        ({"default": 6, "maxValue": 5.5}, ["default"]),
        ({"default": 6, "allowedValues": [5, 7]}, ["default"]),
        ({"valueType": "text", "default": "abc", "maxValue": 2}, ["default"]),
        ({"valueType": "text", "default": "a\x00"}, ["default"]),
        ({"valueType": "text", "default": "a" * 10_001}, ["default"]),
        ({"valueType": "bool", "default": 0}, ["default"]),
        ({"valueType": "list", "default": "a"}, ["default"]),
        ({"valueType": "list", "default": ["a", 1]}, ["default"]),
        ({"valueType": "list", "default": [], "minValue": 1}, ["default"]),
        ({"valueType": "list", "default": ["a", "c"], "allowedValues": ["a", "b"]}, ["default"]),
        ({"valueType": "list", "default": ["a"] * 1001}, ["default"]),
        ({"prefDescId": 1}, ["prefDescId"]),
        ({"isBuiltin": False}, ["isBuiltin"]),
        ({"colour": 1}, ["colour"]),
        ({"Section": "a"}, ["section"]),
        ({"section": 1, "rank": None, "colour": 1}, ["section", "rank", "colour"]),
    ],
)
def test_what_no_description_may_be(changes: dict[str, Any], wrong: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        read_document(BARE | changes)
    assert wrong_fields(refused.value) == wrong


@pytest.mark.parametrize("missing", ["section", "key", "name", "valueType"])
def test_what_is_needed(missing: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_document({name: value for name, value in BARE.items() if name != missing})
    assert wrong_fields(refused.value) == [missing]


@pytest.mark.parametrize("document", [None, [], "a", 1])
def test_what_is_no_object(document: Any) -> None:
    with pytest.raises(Invalid) as refused:
        read_document(document)
    assert wrong_fields(refused.value) == [None]


def test_names_of_properties_in_upper_or_lower_case_and_tags_of_languages_too() -> None:
    read = read_document({"SECTION": "a", "Key": "b", "name": {"EN": "B", "nl-BE": "B"}, "valuetype": "bool"})
    assert read == DescriptionDocument(
        section="a", key="b", name={"en": "B", "nl-be": "B"}, value_type="bool"
    )


class TestChanging:
    @staticmethod
    def stored(**changes: Any) -> PreferenceDescription:
        """A description that may have values."""
        return msgspec.convert(BARE | {"prefDescId": 7, "isBuiltin": False} | changes, PreferenceDescription)

    @staticmethod
    def document(before: PreferenceDescription, **changes: Any) -> dict[str, Any]:
        """It as JSON, changed."""
        found: dict[str, Any] = json.loads(msgspec.json.encode(before))
        return found | changes

    CHANGES: ClassVar[list[dict[str, Any]]] = [
        {"section": "c"},
        {"section": "A"},
        {"key": "c"},
        {"name": {"en": "C"}},
        {"description": {"en": "C"}},
        {"valueType": "bool"},
        {"minValue": 1},
        {"maxValue": 1.5},
        {"allowedValues": [1]},
        {"minLevel": "role"},
        {"maxLevel": "role"},
        {"sysMaxLevel": "user", "maxLevel": "user"},
        {"accessFlags": {"frontend": []}},
        {"subGroup": "c"},
        {"rank": 1},
        {"default": 1},
    ]
    BUILTIN: ClassVar = {"name", "description", "minLevel", "maxLevel", "subGroup", "rank", "default"}

    @pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: next(iter(changes)))
    def test_everything_of_a_preference_of_the_installation(self, changes: dict[str, Any]) -> None:
        before = self.stored()
        after = read_patched(before, self.document(before, **changes))
        assert after == read_patched(before, self.document(after))
        assert after != before

    @pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: next(iter(changes)))
    def test_little_of_one_that_is_built_in(self, changes: dict[str, Any]) -> None:
        before = self.stored(isBuiltin=True)
        document = self.document(before, **changes)
        protected = [field for field in changes if field not in self.BUILTIN]
        if not protected:
            assert read_patched(before, document) != before
            return
        with pytest.raises(Invalid) as refused:
            read_patched(before, document)
        assert wrong_fields(refused.value) == protected

    @pytest.mark.parametrize("builtin", [True, False])
    @pytest.mark.parametrize(
        ("changes", "wrong"),
        [
            ({"prefDescId": 8}, "prefDescId"),
            ({"prefDescId": True}, "prefDescId"),
            ({"isBuiltin": None}, "isBuiltin"),
        ],
    )
    def test_never_its_identity(self, builtin: bool, changes: dict[str, Any], wrong: str) -> None:
        before = self.stored(isBuiltin=builtin)
        with pytest.raises(Invalid) as refused:
            read_patched(before, self.document(before, **changes))
        assert wrong_fields(refused.value) == [wrong]

    @pytest.mark.parametrize("builtin", [True, False])
    def test_being_built_in_is_nobodys_to_change(self, builtin: bool) -> None:
        before = self.stored(isBuiltin=builtin)
        with pytest.raises(Invalid) as refused:
            read_patched(before, self.document(before, isBuiltin=not builtin))
        assert wrong_fields(refused.value) == ["isBuiltin"]

    def test_what_is_taken_out_is_as_it_is_by_default(self) -> None:
        before = self.stored(minValue=1, rank=5, maxLevel="role", default=3)
        document = self.document(before)
        for name in ("minValue", "rank", "maxLevel", "default"):
            del document[name]
        after = read_patched(before, document)
        assert after == self.stored()

    @pytest.mark.parametrize("level", ["installation", "type", "role", "user"])
    def test_a_level_may_be_narrowed_and_never_goes_beyond_the_systems(self, level: str) -> None:
        before = self.stored(isBuiltin=True, maxLevel="user", sysMaxLevel="user")
        assert read_patched(before, self.document(before, maxLevel=level)).max_level == level
        with pytest.raises(Invalid, match="Closer than sysMaxLevel, user"):
            read_patched(before, self.document(before, maxLevel="synchronization"))

    @pytest.mark.parametrize(
        ("preference", "value_type", "good", "bad"),
        [
            ("presentation.titleTemplate", "text", "{{ title }}", "{{ title"),
            ("presentation.descriptionTemplate", "text", "{{ url }}", "{% for a in title %}{% endfor %}"),
            ("presentation.showAsByCategory", "list", ["Lecture=free"], ["Lecture=never"]),
            ("presentation.colourByCategory", "list", ["Lecture=red"], ["Lecture=plaid"]),
            ("presentation.categoryNames", "list", ["Lecture=L"], ["Lecture"]),
            ("selection.includeTitles", "list", ["^Exam"], ["("]),
            ("selection.excludeTitles", "list", ["^Exam"], ["("]),
        ],
    )
    def test_the_default_of_one_that_is_built_in_is_checked_as_its_values_are(
        self, preference: str, value_type: str, good: Any, bad: Any
    ) -> None:
        section, key = preference.split(".")
        before = self.stored(isBuiltin=True, section=section, key=key, valueType=value_type)
        assert read_patched(before, self.document(before, default=good)).default == good
        with pytest.raises(Invalid) as refused:
            read_patched(before, self.document(before, default=bad))
        assert wrong_fields(refused.value) == ["default"]
        own = self.stored(section=section, key=key, valueType=value_type)
        assert read_patched(own, self.document(own, default=bad)).default == bad
