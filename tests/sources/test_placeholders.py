"""What placeholders stand for."""

from typing import Any

import pytest

from app.sources.placeholders import Unresolved, Values, fill, find

VALUES = Values(
    args={"n": 3, "list": [1, "b"], "none": None, "deep": {"a": {"b": True}}, "text": "{{args.n}}"},
    previous_run_date="2026-09-01T08:00:00Z",
    records={"crm/contacts": {"id": 7, "tags": ["x", {"y": "z"}]}, "crm": {"contacts": {"id": "other"}}},
)


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("{{args.n}}", 3),
        (" {{ args.n }} ", 3),
        ("{{args.list}}", [1, "b"]),
        ("{{args.deep.a.b}}", True),
        ("{{args.list.1}}", "b"),
        ("{{args.absent}}", None),
        ("{{previous_run_date}}", "2026-09-01T08:00:00Z"),
        ("{{resources.crm.contacts.id}}", 7),
        ("{{resources.crm.contacts.tags.1.y}}", "z"),
        ("n={{args.n}}&d={{args.deep}}", 'n=3&d={"a":{"b":true}}'),
        ("{{args.n}}{{args.n}}", "33"),
        ("{{args.text}}", "{{args.n}}"),
        ("a{{args.text}}", "a{{args.n}}"),
        ({"a": ["{{args.n}}", 1]}, {"a": [3, 1]}),
        ("no placeholder", "no placeholder"),
        (5, 5),
        (None, None),
    ],
)
def test_a_value(value: Any, filled: Any) -> None:
    assert fill(value, VALUES.resolve) == filled


@pytest.mark.parametrize(
    "expression", ["resources.crm.contacts.absent", "resources.other.id", "resources.crm.contacts.tags.9"]
)
def test_a_field_that_is_not_there(expression: str) -> None:
    with pytest.raises(Unresolved, match=expression.replace(".", r"\.")):
        fill(f"{{{{{expression}}}}}", VALUES.resolve)


def test_the_places_of_all() -> None:
    found = list(
        find({"a": ["x", "{{args.n}}"], "b": {"c": "-{{ args.m }}-{{args.o}}"}, "d": "{{args.x"}, "query")
    )
    assert [(place.field, place.expression, place.whole, place.broken) for place in found] == [
        ("query.a[1]", "args.n", True, False),
        ("query.b.c", "args.m", False, False),
        ("query.b.c", "args.o", False, False),
        ("query.d", "{{args.x", False, True),
    ]
