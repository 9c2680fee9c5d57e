"""The two formats of patches, by the RFCs' own examples, and what is particular to ours."""

import json
from contextlib import suppress
from copy import deepcopy
from typing import Any, ClassVar

import pytest

from app.errors import BadRequest, Conflict, Invalid
from app.preferences.patch import JSON, JSON_PATCH, MERGE_PATCH, decode, read_patch

COWS = {"foo": ["all", "grass", "cows", "eat"]}
TILDES = {"/": 9, "~1": 10}


def patched(document: Any, body: str | bytes, media_type: str) -> Any:
    """The document changed by a body; it stays as it is itself."""
    before = deepcopy(document)
    try:
        return read_patch(body.encode() if isinstance(body, str) else body, media_type)(document)
    finally:
        assert document == before


def by_operations(document: Any, *operations: Any) -> Any:
    return patched(document, json.dumps(operations), JSON_PATCH)


class TestJsonPatch:
    """RFC 6902."""

    @pytest.mark.parametrize(
        ("document", "operations", "result"),
        [
            pytest.param(
                {"foo": "bar"},
                [{"op": "add", "path": "/baz", "value": "qux"}],
                {"baz": "qux", "foo": "bar"},
                id="A.1 adding an object member",
            ),
            pytest.param(
                {"foo": ["bar", "baz"]},
                [{"op": "add", "path": "/foo/1", "value": "qux"}],
                {"foo": ["bar", "qux", "baz"]},
                id="A.2 adding an array element",
            ),
            pytest.param(
                {"baz": "qux", "foo": "bar"},
                [{"op": "remove", "path": "/baz"}],
                {"foo": "bar"},
                id="A.3 removing an object member",
            ),
            pytest.param(
                {"foo": ["bar", "qux", "baz"]},
                [{"op": "remove", "path": "/foo/1"}],
                {"foo": ["bar", "baz"]},
                id="A.4 removing an array element",
            ),
            pytest.param(
                {"baz": "qux", "foo": "bar"},
                [{"op": "replace", "path": "/baz", "value": "boo"}],
                {"baz": "boo", "foo": "bar"},
                id="A.5 replacing a value",
            ),
            pytest.param(
                {"baz": "qux", "foo": ["a", 2, "c"]},
                [
                    {"op": "test", "path": "/baz", "value": "qux"},
                    {"op": "test", "path": "/foo/1", "value": 2},
                ],
                {"baz": "qux", "foo": ["a", 2, "c"]},
                id="A.8 testing a value: success",
            ),
            pytest.param(
                {"foo": "bar"},
                [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
                {"foo": "bar", "child": {"grandchild": {}}},
                id="A.10 adding a nested member object",
            ),
            pytest.param(
                {"foo": "bar"},
                [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}],
                {"foo": "bar", "baz": "qux"},
                id="A.11 ignoring unrecognized elements",
            ),
            pytest.param(
                TILDES,
                [{"op": "test", "path": "/~01", "value": 10}],
                TILDES,
                id="A.14 escape ordering",
            ),
            pytest.param(
                {"foo": ["bar"]},
                [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
                {"foo": ["bar", ["abc", "def"]]},
                id="A.16 adding an array value",
            ),
        ],
    )
    def test_the_examples(self, document: Any, operations: list[Any], result: Any) -> None:
        assert by_operations(document, *operations) == result

    @pytest.mark.parametrize(
        ("document", "operation"),
        [
            pytest.param(
                {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
                {"op": "move", "from": "/foo/waldo", "path": "/qux/thud"},
                id="A.6 moving a value",
            ),
            pytest.param(
                COWS,
                {"op": "move", "from": "/foo/1", "path": "/foo/3"},
                id="A.7 moving an array element",
            ),
            pytest.param(COWS, {"op": "copy", "from": "/foo/1", "path": "/foo/3"}, id="copying"),
        ],
    )
    def test_moving_and_copying_is_refused(self, document: Any, operation: dict[str, str]) -> None:
        with pytest.raises(Invalid, match=f"{operation['op']} is not possible here") as refused:
            by_operations(document, {"op": "remove", "path": "/foo"}, operation)
        assert [problem.field for problem in refused.value.problems] == ["1/op"]

    @pytest.mark.parametrize(
        ("document", "path", "value"),
        [
            pytest.param({"baz": "qux"}, "/baz", "bar", id="A.9 testing a value: error"),
            pytest.param(TILDES, "/~01", "10", id="A.15 comparing strings and numbers"),
            pytest.param({"a": True}, "/a", 1, id="4.6: true is no number"),
            pytest.param({"a": {"b": [1]}}, "/a", {"b": ["1"]}, id="4.6: in depth"),
            pytest.param({"a": None}, "/b", None, id="null is not nothing"),
            pytest.param({"a": 1}, "/a/b", 1, id="below a number"),
        ],
    )
    def test_a_test_that_fails(self, document: Any, path: str, value: Any) -> None:
        operations = [{"op": "test", "path": path, "value": value}, {"op": "add", "path": "/a", "value": 2}]
        with pytest.raises(Conflict) as conflict:
            by_operations(document, *operations)
        assert conflict.value.code == "test_failed"
        assert [problem.field for problem in conflict.value.problems] == [path[1:]]

    def test_numbers_are_compared_by_value(self) -> None:
        assert by_operations({"a": 1}, {"op": "test", "path": "/a", "value": 1.0}) == {"a": 1}

    def test_the_operations_are_carried_out_in_turn(self) -> None:
        operations = [
            {"op": "remove", "path": "/a"},
            {"op": "add", "path": "/a", "value": {}},
            {"op": "add", "path": "/a/b", "value": 1},
            {"op": "test", "path": "/a", "value": {"b": 1}},
        ]
        assert by_operations({"a": 0}, *operations) == {"a": {"b": 1}}

    def test_the_whole_document(self) -> None:
        assert by_operations({"a": 0}, {"op": "replace", "path": "", "value": [1]}) == [1]

    @pytest.mark.parametrize(
        ("operation", "field"),
        [
            pytest.param(
                {"op": "add", "path": "/baz/bat", "value": "qux"},
                "baz/bat",
                id="A.12 adding to a nonexistent target",
            ),
            ({"op": "replace", "path": "/baz", "value": 1}, "baz"),
            ({"op": "remove", "path": "/baz"}, "baz"),
            ({"op": "remove", "path": ""}, ""),
            ({"op": "remove", "path": "/list/1"}, "list/1"),
            ({"op": "remove", "path": "/list/-"}, "list/-"),
            ({"op": "replace", "path": "/list/-", "value": 1}, "list/-"),
            ({"op": "add", "path": "/list/2", "value": 1}, "list/2"),
            ({"op": "add", "path": "/list/01", "value": 1}, "list/01"),
            ({"op": "add", "path": "/list/-/a", "value": 1}, "list/-/a"),
            ({"op": "add", "path": "/list/a", "value": 1}, "list/a"),
            ({"op": "add", "path": "/foo/0", "value": 1}, "foo/0"),
            ({"op": "remove", "path": "/foo/0"}, "foo/0"),
            ({"op": "add", "path": "/~2", "value": 1}, "~2"),
        ],
    )
    def test_an_operation_on_nothing_names_its_path(self, operation: dict[str, Any], field: str) -> None:
        with pytest.raises(Invalid) as refused:
            by_operations({"foo": "bar", "list": [1]}, operation)
        assert refused.value.code == "invalid_patch"
        assert [problem.field for problem in refused.value.problems] == [field]

    @pytest.mark.parametrize(
        ("operation", "field"),
        [
            ({"path": "/foo", "value": 1}, "0"),
            ({"op": "add", "value": 1}, "0"),
            ({"op": "Add", "path": "/foo", "value": 1}, "0"),
            ({"op": "append", "path": "/foo", "value": 1}, "0"),
            ({"op": ["add"], "path": "/foo", "value": 1}, "0"),
            ({"op": "add", "path": 1, "value": 1}, "0"),
            ({"op": "add", "path": "/foo"}, "0/value"),
            ({"op": "test", "path": "/foo"}, "0/value"),
            ("add", "0"),
            (None, "0"),
        ],
    )
    def test_what_is_no_operation(self, operation: Any, field: str) -> None:
        with pytest.raises(Invalid) as refused:
            by_operations({"foo": 1}, operation)
        assert [problem.field for problem in refused.value.problems] == [field]

    def test_an_operation_that_names_a_member_twice(self) -> None:
        """A.13: an invalid JSON Patch document."""
        body = '[{"op": "add", "path": "/baz", "value": "qux", "op": "remove"}]'
        with pytest.raises(BadRequest, match="twice"):
            patched({"foo": "bar"}, body, JSON_PATCH)


class TestMergePatch:
    """RFC 7396."""

    @pytest.mark.parametrize(
        ("document", "patch", "result"),
        [
            ({"a": "b"}, {"a": "c"}, {"a": "c"}),
            ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
            ({"a": "b"}, {"a": None}, {}),
            ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
            ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
            ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
            ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
            ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
            (["a", "b"], ["c", "d"], ["c", "d"]),
            ({"a": "b"}, ["c"], ["c"]),
            ({"a": "foo"}, None, None),
            ({"a": "foo"}, "bar", "bar"),
            ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
            ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
            ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ],
    )
    def test_the_examples(self, document: Any, patch: Any, result: Any) -> None:
        """Appendix A."""
        assert patched(document, json.dumps(patch), MERGE_PATCH) == result

    def test_the_article(self) -> None:
        """Section 3."""
        document = {
            "title": "Goodbye!",
            "author": {"givenName": "John", "familyName": "Doe"},
            "tags": ["example", "sample"],
            "content": "This will be unchanged",
        }
        patch = {
            "title": "Hello!",
            "phoneNumber": "+01-123-456-7890",
            "author": {"familyName": None},
            "tags": ["example"],
        }
        assert patched(document, json.dumps(patch), MERGE_PATCH) == {
            "title": "Hello!",
            "author": {"givenName": "John"},
            "tags": ["example"],
            "content": "This will be unchanged",
            "phoneNumber": "+01-123-456-7890",
        }


class TestNames:
    """In upper or lower case, in both formats; of JSON Patch, a path needs no leading slash."""

    DOCUMENT: ClassVar = {"minValue": 1, "name": {"en": "Colour", "nl-BE": "Kleur"}, "values": [{"aB": 1}]}

    @pytest.mark.parametrize("path", ["/minValue", "minValue", "/minvalue", "MINVALUE"])
    def test_at_the_top(self, path: str) -> None:
        assert by_operations(self.DOCUMENT, {"op": "test", "path": path, "value": 1}) == self.DOCUMENT
        assert by_operations(self.DOCUMENT, {"op": "add", "path": path, "value": 2})["minValue"] == 2
        assert "minValue" not in by_operations(self.DOCUMENT, {"op": "remove", "path": path})

    @pytest.mark.parametrize("path", ["/name/nl-BE", "Name/NL-be"])
    def test_below(self, path: str) -> None:
        changed = by_operations(self.DOCUMENT, {"op": "replace", "path": path, "value": "Tint"})
        assert changed["name"] == {"en": "Colour", "nl-BE": "Tint"}

    def test_in_lists(self) -> None:
        changed = by_operations(self.DOCUMENT, {"op": "replace", "path": "VALUES/0/AB", "value": 2})
        assert changed["values"] == [{"aB": 2}]

    def test_an_exact_one_comes_first(self) -> None:
        assert by_operations({"A": 1, "a": 2}, {"op": "remove", "path": "a"}) == {"A": 1}

    def test_of_a_merge_patch(self) -> None:
        patch = '{"MinValue": null, "NAME": {"EN": "Tint", "nl-be": null}}'
        changed = patched(self.DOCUMENT, patch, MERGE_PATCH)
        assert changed == {"name": {"en": "Tint"}, "values": [{"aB": 1}]}

    def test_a_merge_patch_names_nothing_twice(self) -> None:
        with pytest.raises(Invalid) as refused:
            patched(self.DOCUMENT, '{"name": {"EN": "Tint", "en": "Hue"}}', MERGE_PATCH)
        assert [problem.field for problem in refused.value.problems] == ["name/en"]


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "result"),
        [('[{"op": "remove", "path": "/a"}]', {"b": 2}), ('{"a": null}', {"b": 2}), ("[]", {"a": 1, "b": 2})],
    )
    def test_plain_json_is_told_by_its_shape(self, body: str, result: Any) -> None:
        assert patched({"a": 1, "b": 2}, body, JSON) == result

    @pytest.mark.parametrize("body", ["null", "1", '"a"', "true"])
    def test_plain_json_of_another_shape(self, body: str) -> None:
        with pytest.raises(Invalid, match=r"Expected an array .* or an object"):
            patched({}, body, JSON)

    @pytest.mark.parametrize("body", ["{}", "null", '{"op": "add", "path": "/a", "value": 1}'])
    def test_a_json_patch_is_an_array(self, body: str) -> None:
        with pytest.raises(Invalid, match="array of operations"):
            patched({}, body, JSON_PATCH)

    @pytest.mark.parametrize("media_type", [JSON, JSON_PATCH, MERGE_PATCH])
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"nothing",
            b'{"a": NaN}',
            b'{"a": 1e999}',
            b'{"a": "\\ud800"}',
            b'{"a": "\xff"}',
            b'{"a": "\\u0000", }',
            b'{"a": 1, "a": 1}',
            b"[" * 100_000 + b"]" * 100_000,
        ],
        ids=lambda body: repr(body[:16]),
    )
    def test_what_is_no_json(self, body: bytes, media_type: str) -> None:
        with pytest.raises(BadRequest):
            patched({}, body, media_type)

    @pytest.mark.parametrize("depth", range(50, 1000, 50))
    def test_depth_is_an_answer_and_no_failure(self, depth: int) -> None:
        deep = '{"a": ' * depth + "1" + "}" * depth
        bodies = {JSON_PATCH: f'[{{"op": "add", "path": "/a", "value": {deep}}}]', MERGE_PATCH: deep}
        for media_type, body in bodies.items():
            # Any other exception is a failure. How deep is too deep is Python's business.
            with suppress(BadRequest, Invalid):
                assert patched({}, body, media_type).keys() == {"a"}

    def test_decoded(self) -> None:
        assert decode(b'{"a": [1, 2.5, "\xc3\xa9", null, true]}') == {"a": [1, 2.5, "é", None, True]}
