"""How a run ends: what an answer means for the mailbox, and how long it waits."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from app.sync.endings import Stop, back_off, ends_run, stopped_by, urgency
from providers.contract import Done, Gone, Outcome, Refused, Throttled, Unknown

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
SOON = NOW + timedelta(minutes=5)

THROTTLED = Throttled(until=SOON, scope="mailbox")
NO_ACCESS = Refused(code="c", reason="Access is denied.", scope="mailbox")
DOWN = Unknown(code="c", reason="No answer.")


@pytest.mark.parametrize(
    ("outcome", "status", "earliest", "latest"),
    [
        (THROTTLED, "THROTTLED", 300.0, 300.0),
        (Throttled(until=NOW - timedelta(hours=1), scope="mailbox"), "THROTTLED", 0.0, 0.0),
        (NO_ACCESS, "PERMISSION_DENIED", 7.5, 12.5),
        (Gone(what="mailbox", code="c", reason="No such mailbox."), "MAILBOX_NOT_FOUND", 7.5, 12.5),
        (Refused(code="c", reason="Busy.", permanent=False, scope="mailbox"), "ERROR", 1.5, 2.5),
        (DOWN, "ERROR", 1.5, 2.5),
    ],
)
def test_what_cuts_a_run_short_says_when_the_next_is_due(
    outcome: Stop, status: str, earliest: float, latest: float
) -> None:
    ending = stopped_by(outcome, 1, NOW, Random(1))
    assert (ending.status, ending.attempts) == (status, 1)
    assert ending.due_at is not None
    assert earliest <= (ending.due_at - NOW).total_seconds() <= latest
    assert ending.error


def test_each_wait_is_twice_as_long_up_to_the_last() -> None:
    waits = [back_off(tries, Random(7)) for tries in range(40)]
    for shorter, longer in pairwise(waits[:10]):
        assert longer / shorter == pytest.approx(2, rel=1e-5)
    assert timedelta(minutes=11) <= waits[-1] <= timedelta(minutes=19)
    assert waits[-1] == waits[20]
    assert back_off(-1, Random(7)) == waits[0]


def test_two_mailboxes_do_not_come_back_at_the_same_moment() -> None:
    random = Random(3)
    assert len({back_off(4, random) for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("outcome", "ends"),
    [
        (Done("id"), False),
        (Refused(code="c", reason="Too long."), False),
        (Gone(what="event", code="c", reason="It is gone."), False),
        (Gone(what="calendar", code="c", reason="It is gone."), False),
        (Gone(what="mailbox", code="c", reason="It is gone."), True),
        (NO_ACCESS, True),
        (THROTTLED, True),
        (DOWN, True),
    ],
)
def test_what_is_about_one_event_or_calendar_ends_no_run(outcome: Outcome, ends: bool) -> None:
    assert ends_run(outcome) is ends


def test_the_answer_that_says_most_counts() -> None:
    later = Throttled(until=SOON + timedelta(hours=1), scope="account")
    wrong_password = Refused(code="c", reason="Wrong password.", scope="account")
    gone = Gone(what="mailbox", code="c", reason="No such mailbox.")
    answers: list[Stop] = [THROTTLED, later, DOWN, gone, NO_ACCESS, wrong_password]
    assert sorted(answers, key=urgency) == [wrong_password, NO_ACCESS, gone, DOWN, later, THROTTLED]
