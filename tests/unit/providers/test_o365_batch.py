"""Requests packed into a ``$batch``, and its answers taken apart."""

from typing import Any

import pytest

from providers.o365.batch import CONCURRENT, MAX_BATCH, fitting, items, unbatch
from providers.o365.messages import PREFERENCES, Answer, NoAnswer, Request


def batch_answer(*responses: Any) -> Answer:
    return Answer(status=200, headers={}, body={"responses": list(responses)})


def test_each_item_of_a_chain_depends_on_the_one_before() -> None:
    made = items([Request(method="DELETE", path=f"/users/a/events/{n}") for n in range(3)], chained=True)
    assert [item.get("dependsOn") for item in made] == [None, ["0"], ["1"]]
    assert [item["url"] for item in made] == ["/users/a/events/0", "/users/a/events/1", "/users/a/events/2"]


def test_side_by_side_no_item_depends_on_another() -> None:
    made = items([Request(method="DELETE", path=f"/users/a/events/{n}") for n in range(3)], chained=False)
    assert not any("dependsOn" in item for item in made)


def test_each_item_has_the_headers_that_a_batch_does_not_hand_down() -> None:
    create, read, update = items(
        [
            Request(method="POST", path="/x", body={"subject": "A"}),
            Request(method="GET", path="/y"),
            Request(method="PATCH", path="/z", body={"subject": "A"}, version="CK"),
        ],
        chained=True,
    )
    json = {"Content-Type": "application/json"}
    assert create["headers"] == PREFERENCES | json
    assert read["headers"] == PREFERENCES
    assert update["headers"] == PREFERENCES | json | {"If-Match": 'W/"CK"'}


def test_answers_in_any_order_find_their_items() -> None:
    answer = batch_answer(
        {"id": "1", "status": 429, "headers": {"Retry-After": "7"}, "body": {"error": {"code": "x"}}},
        {"id": "0", "status": 204},
    )
    first, second = unbatch(answer, 2)
    assert first == Answer(status=204, headers={}, body=None)
    assert second == Answer(status=429, headers={"retry-after": "7"}, body={"error": {"code": "x"}})


def test_an_item_that_is_left_out_has_no_answer() -> None:
    assert unbatch(batch_answer({"id": "1", "status": 204}), 2)[0] is None


@pytest.mark.parametrize(
    "body", [None, {}, {"responses": None}, {"responses": ["?"]}, {"responses": [{"id": "0"}]}]
)
def test_an_answer_that_cannot_be_read_is_no_answer(body: dict[str, Any] | None) -> None:
    with pytest.raises(NoAnswer):
        unbatch(Answer(status=200, headers={}, body=body), 1)


def test_a_batch_stays_within_the_number_and_the_bytes_that_graph_takes() -> None:
    small = Request(method="DELETE", path="/x")
    big = Request(method="POST", path="/x", body={"body": "x" * 2_000_000})
    assert fitting([small] * 30) == MAX_BATCH
    assert fitting([small] * 3) == 3
    assert fitting([small] * 30, chained=False) == CONCURRENT
    assert fitting([big, big, big]) == 1
    assert fitting([Request(method="POST", path="/x", body={"body": "x" * 5_000_000}), small]) == 1
