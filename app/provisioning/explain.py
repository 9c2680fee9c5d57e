"""Why an event is in a mailbox, or is not: its history, in data and in plain sentences (CONTRACT §6)."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record

from app.clock import Clock
from app.config import TimetableSettings
from app.database.queries import query
from app.database.types import Pool
from app.provisioning.event_history import EventHistory, Refusal, Removal, Try, Waiting
from app.provisioning.synchronizations import MAX_ID, known_id, not_found
from app.provisioning.text import is_text, is_username
from app.provisioning.told import moment, told_of_mailbox, told_of_timetable, told_of_tries

__all__ = ["explain", "of_user", "owner"]

MAX_TRIES = 100

MAX_UID = 2_000
"""Characters of the longest uid that can be configured."""

WAITING = {
    "THROTTLED": "throttled",
    "ERROR": "provider_down",
    "PERMISSION_DENIED": "no_access",
    "MAILBOX_NOT_FOUND": "mailbox_not_found",
}


async def owner(pool: Pool, id: int) -> str:
    """Whose synchronization this is or was. Raises NotFound."""
    username: str | None = await pool.fetchval(query("history.owner"), known_id(id))
    if username is None:
        raise not_found()
    return username


async def of_user(pool: Pool, username: str, type: str | None = None) -> list[int]:
    """The user's current synchronizations (of one type), or the former ones if there is none."""
    if not is_username(username):
        return []
    return [row["id"] for row in await pool.fetch(query("history.of_user"), username, type)]


async def explain(pool: Pool, id: int, uid: str, limits: TimetableSettings, clock: Clock) -> EventHistory:
    """The history of an event in a synchronization, current or not. Raises NotFound for the latter alone.

    An event that nobody has ever published has one too: it says so.
    """
    # A text that no uid can be is asked for as the empty one, which no event has.
    asked = uid if is_text(uid, MAX_UID) else ""
    facts = await pool.fetchrow(query("history.facts"), id, asked, clock()) if 0 < id <= MAX_ID else None
    if facts is None:
        raise not_found()
    rows = await pool.fetch(query("history.tries"), id, asked, MAX_TRIES)
    tries = [_try(row) for row in rows]
    removed = _removal(facts, tries)
    status = _status(facts, removed)
    waiting = _waiting(facts, clock()) if status in ("waiting", "removing") else None
    refused = None
    if facts["error"] is not None or facts["error_code"] is not None:
        refused = Refusal(code=facts["error_code"], reason=facts["error"], retry_at=facts["retry_at"])
    return EventHistory(
        synchronization=id,
        username=facts["username"],
        # Bytes that were no UTF-8 cannot be given back as they were.
        uid=uid.encode("utf-8", "replace").decode(),
        status=status,
        explanation=[
            *told_of_timetable(facts, limits),
            *told_of_mailbox(facts, status, removed),
            *told_of_tries(tries),
            *([] if waiting is None else [waiting.reason]),
        ],
        wanted=_wanted(facts),
        left_out_by=facts["left_out_by"],
        left_out_level=facts["left_out_level"],
        left_out_owner=facts["left_out_owner"],
        calendar=facts["calendar"],
        wanted_since=facts["wanted_since"],
        changed_at=facts["changed_at"],
        published_at=facts["timetable_changed_at"],
        state=facts["state"],
        remote_id=facts["remote_id"],
        pushed_at=facts["pushed_at"],
        start=facts["starts_at"],
        end=facts["ends_at"],
        refused=refused,
        waiting=waiting,
        removed=removed,
        tries=tries,
    )


def _try(row: Record) -> Try:
    return Try(
        operation=row["operation"],
        outcome=row["outcome"],
        first_at=row["first_at"],
        at=row["at"],
        times=row["times"],
        code=row["code"],
        reason=row["reason"],
        remote_id=row["remote_id"],
        synchronization=row["synchronization_id"],
        run=row["run_id"],
    )


def _wanted(facts: Record) -> bool:
    published = facts["in_timetable"] and not facts["cancelled"]
    return facts["unlinked_at"] is None and published and facts["left_out_by"] is None


def _removal(facts: Record, tries: Sequence[Try]) -> Removal | None:
    """How it was taken out, if it was there once and is not any more."""
    if facts["remote_id"] is not None:
        return None
    last = next((a for a in tries if a.outcome == "done"), None)
    if last is None or last.operation != "delete":
        return None
    by = "timetable" if last.run is None else "unlinking"
    return Removal(at=last.at, by=by, run=last.run, remote_id=last.remote_id)


def _status(facts: Record, removed: Removal | None) -> str:
    if facts["state"] == "refused":
        return "refused"
    if _wanted(facts):
        if facts["state"] != "present" or not facts["as_wanted"]:
            return "waiting"
        return {"missing": "deleted_there", "changed": "changed_there"}.get(facts["drift"], "present")
    if facts["state"] is not None and (facts["remote_id"] is not None or facts["sent_at"] is not None):
        if facts["ledger_synchronization"] != facts["id"]:
            return "adopted"
        return "left_behind" if facts["unlinked_at"] and facts["state"] == "present" else "removing"
    if facts["left_out_by"] is not None and facts["unlinked_at"] is None and not facts["cancelled"]:
        return "left_out"
    if removed is not None:
        return "removed"
    if not facts["in_timetable"]:
        return "not_published"
    return "cancelled" if facts["cancelled"] else "unlinked"


def _waiting(facts: Record, now: datetime) -> Waiting:
    due_at, error = facts["due_at"], facts["last_error"]
    if facts["deleting_run"] is None and not facts["enabled"]:
        return Waiting(
            code="disabled", reason="The synchronization is disabled: nothing is written until it is enabled."
        )
    if facts["deleting_run"] is None and facts["held"]:
        return Waiting(code="held", reason=f"The synchronization is held. {error or ''}".strip())
    if facts["retry_at"] is not None and facts["retry_at"] > now:
        at = facts["retry_at"]
        return Waiting(code="retry", reason=f"It is tried again at {moment(at)}.", until=at)
    if facts["running"]:
        return Waiting(code="running", reason="A worker is at work in the mailbox now.")
    code = WAITING.get(facts["status"])
    if code is not None and facts["failing_since"] is not None:
        since = facts["failing_since"]
        then = (
            f"The next try is at {moment(due_at)}."
            if due_at and due_at > now
            else "A worker tries again as soon as one is free."
        )
        return Waiting(
            code=code,
            reason=f"Since {moment(since)} it cannot be written: {error or facts['status']} {then}",
            since=since,
            until=due_at,
        )
    if facts["sent_at"] is not None:
        return Waiting(
            code="answer",
            reason=f"It was sent at {moment(facts['sent_at'])}, and what came of it is not known yet.",
            since=facts["sent_at"],
            until=due_at,
        )
    if due_at is None:
        return Waiting(code="worker", reason="It waits for the next run, which nobody has asked for yet.")
    reason = "It waits for a worker" if due_at <= now else "The next run over the mailbox is"
    return Waiting(code="worker", reason=f"{reason} {'since' if due_at <= now else 'at'} {moment(due_at)}.",
                   until=due_at)  # fmt: skip
