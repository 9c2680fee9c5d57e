"""What the protocols build on: mailboxes, and which operation a fault meets."""

from providers.sandbox.state import Fault, Faults, State


def played(faults: Faults, count: int, operation: str = "create", mailbox: str | None = None) -> list[int]:
    """Which of so many operations, counted from 1, were met by a fault."""
    return [n for n in range(1, count + 1) if faults.take("ews", operation, mailbox) is not None]


def with_fault(**fields: object) -> Faults:
    faults = Faults(seed=7)
    faults.add(Fault(**({"type": "ews", "fault": "throttle"} | fields)))  # type: ignore[arg-type]
    return faults


def test_a_fault_meets_every_operation_until_it_is_removed() -> None:
    assert played(with_fault(), 4) == [1, 2, 3, 4]


def test_times_says_how_often() -> None:
    assert played(with_fault(times=2), 4) == [1, 2]


def test_nth_is_met_once() -> None:
    assert played(with_fault(nth=3), 6) == [3]


def test_rate_is_a_share_and_the_same_for_the_same_seed() -> None:
    first, second = played(with_fault(rate=0.25), 400), played(with_fault(rate=0.25), 400)
    assert first == second
    assert 60 < len(first) < 140


def test_other_operations_are_not_counted() -> None:
    faults = with_fault(operation="create", nth=2)
    assert played(faults, 3, operation="delete") == []
    assert played(faults, 3) == [2]


def test_other_types_are_not_met() -> None:
    assert with_fault().take("o365", "create") is None


def test_a_star_meets_every_type() -> None:
    faults = Faults()
    faults.add(Fault(type="*", fault="deny"))
    assert faults.take("googlecalendar", "create") is not None


def test_rights_are_those_to_a_mailbox_unless_tokens_are_named() -> None:
    """Without a token, everybody's mailbox would be out of reach: another thing than one that is denied."""
    assert with_fault(fault="deny").take("ews", "token") is None
    assert with_fault(fault="deny", operation="token").take("ews", "token") is not None
    assert with_fault(fault="unavailable").take("ews", "token") is not None


def test_a_mailbox_is_compared_without_case_and_needed_where_it_is_named() -> None:
    faults = with_fault(mailbox="Alice@uni.example")
    assert played(faults, 1, mailbox="alice@UNI.example") == [1]
    assert played(faults, 1, mailbox="bob@uni.example") == []
    assert played(faults, 1, mailbox=None) == []


def test_a_mailbox_is_found_by_any_of_its_addresses_without_case() -> None:
    state = State()
    made = state.add_mailbox("ews", "Alice@other.example", ["a.lice@other.example"])
    assert state.mailbox("ews", "alice@OTHER.example") is made
    assert state.mailbox("ews", "A.Lice@other.example") is made
    assert state.mailbox("o365", "alice@other.example") is None


def test_the_domain_alone_is_no_address() -> None:
    assert State().mailbox("ews", "@uni.example") is None


def test_a_mailbox_made_anew_is_not_found_by_its_old_aliases() -> None:
    state = State()
    state.add_mailbox("ews", "alice@other.example", ["a.lice@other.example"])
    state.add_mailbox("ews", "alice@other.example")
    assert state.mailbox("ews", "a.lice@other.example") is None
