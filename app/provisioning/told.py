"""What an event's history comes to in plain sentences."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record

from app.config import TimetableSettings
from app.provisioning.event_history import Removal, Try

__all__ = ["moment", "told_of_mailbox", "told_of_timetable", "told_of_tries"]

MAX_TOLD = 10
"""How many operations the sentences tell of; the data has up to 100."""

LEFT_OUT = {
    "selection.includeCategories": "none of its categories is among those that are included",
    "selection.excludeCategories": "one of its categories is excluded",
    "selection.includeTitles": "its title matches none of the patterns that are included",
    "selection.excludeTitles": "its title matches a pattern that is excluded",
    "selection.daysAhead": "it is outside the window, further ahead than events are put into the mailbox",
    "selection.daysBack": "it is outside the window, longer ago than events are put into the mailbox",
}
"""Why a preference keeps an event out of the mailbox."""


def told_of_timetable(facts: Record, limits: TimetableSettings) -> list[str]:
    """Whether the event is wanted, and what keeps it out if it is not."""
    told = []
    if facts["in_timetable"]:
        since = moment(facts["wanted_since"]) if facts["wanted_since"] else "before this was kept"
        changed = facts["changed_at"]
        left_out_by = None if facts["cancelled"] else facts["left_out_by"]
        known = "in the timetable" if left_out_by else "wanted"
        if facts["cancelled"]:
            at = f" (as published at {moment(changed)})" if changed else ""
            told.append(f"The timetable says that it is cancelled{at}: it is not put into a mailbox.")
        elif changed and changed != facts["wanted_since"]:
            told.append(f"It is {known} since {since}, and was last changed at {moment(changed)}.")
        else:
            told.append(f"It is {known} since {since}.")
        if left_out_by is not None:
            told.append(
                f"It is filtered by the preference {left_out_by}{_set_at(facts)}: {LEFT_OUT[left_out_by]}."
            )
    elif not facts["user_exists"]:
        told.append("Its user was deleted, timetable included: nothing is wanted any more.")
    elif facts["timetable_revision"] is None:
        told.append("It is not wanted: no timetable of its user was published yet.")
    else:
        at = facts["timetable_changed_at"]
        published = f" at {moment(at)}" if at else ""
        told.append(
            "It is not wanted: no event with this uid is in the timetable as last published"
            f"{published} (revision {facts['timetable_revision']}). Of a recurring event in iCalendar,"
            f" occurrences outside the window ({limits.window_days_back} days back to"
            f" {limits.window_days_ahead} ahead) are not taken."
        )
    if facts["unlinked_at"] is not None:
        run = f" by run {facts['unlink_run']}" if facts["unlink_run"] is not None else ""
        told.append(
            f"The synchronization was ended at {moment(facts['unlinked_at'])}{run}: it writes nothing now."
        )
    return told


def _set_at(facts: Record) -> str:
    """Where the preference is set that leaves the event out."""
    owner = facts["left_out_owner"]
    match facts["left_out_level"]:
        case None:
            return ""  # it was changed after the run that left the event out; the next run sees to it
        case "default":
            return " (its default)"
        case "installation":
            return " (set for the installation)"
        case "synchronization":
            return " (set for this synchronization)"
        case level:
            return f" (set for the {level} {owner})"


def told_of_mailbox(facts: Record, status: str, removed: Removal | None) -> list[str]:
    """Where the event is, and what is to become of it there."""
    told = []
    if facts["remote_id"] is not None:
        pushed = f", last written at {moment(facts['pushed_at'])}" if facts["pushed_at"] else ""
        calendar = f", in the calendar {facts['calendar']}," if facts["calendar"] else ""
        told.append(f"It is in the mailbox{calendar} with the id {facts['remote_id']}{pushed}.")
        if facts["drift"] is not None:
            done = "deleted" if facts["drift"] == "missing" else "changed"
            told.append(f"But when the mailbox was last read, somebody else had {done} it there.")
        if facts["ledger_synchronization"] != facts["id"]:
            told.append(f"Synchronization {facts['ledger_synchronization']} of the same user looks after it.")
        if status == "present":
            told.append("It is there as published.")
        elif status == "waiting":
            told.append("What was published since is still to be written.")
        elif status == "left_behind":
            told.append("The unlinking left it there; a CLEANUP takes it out.")
        elif status == "removing" and facts["deleting_run"] is not None:
            told.append(f"Run {facts['deleting_run']}, an unlinking, is to take it out.")
        elif status == "removing":
            told.append("It is to be taken out, since it is not wanted any more.")
    elif removed is not None:
        if removed.run is not None:
            by = f"by run {removed.run}, an unlinking"
        else:
            by = "since it was not wanted any more" if facts["left_out_by"] else "by the timetable"
        told.append(f"It was taken out of the mailbox at {moment(removed.at)}, {by}.")
        if status == "waiting":
            told.append("It is wanted again, and not in the mailbox yet.")
    elif status == "waiting":
        told.append("It is not in the mailbox yet.")
    elif status != "refused":
        told.append("It is not in the mailbox, and as far as is known never was.")
    if status == "refused":
        told.append("The provider refuses it. It is not tried again before it changes in the timetable.")
    return told


DONE = {"create": "It was created", "update": "It was updated", "delete": "It was deleted"}
ASKED = {"create": "Creating it", "update": "Updating it", "delete": "Deleting it"}


def told_of_tries(tries: Sequence[Try]) -> list[str]:
    """What was tried, the oldest first."""
    told = []
    for one in reversed(tries[:MAX_TOLD]):
        when = f"at {moment(one.at)}"
        if one.times > 1:
            when = f"{one.times} times from {moment(one.first_at)} to {moment(one.at)}"
        if one.outcome == "done":
            id = f" with the id {one.remote_id}" if one.remote_id and one.operation == "create" else ""
            reason = f" {one.reason}" if one.reason else ""
            told.append(f"{DONE[one.operation]} {when}{id}.{reason}")
        elif one.operation == "read":
            told.append(f"The calendar was read {when}. {one.reason or ''}".strip())
        else:
            code = f" ({one.code})" if one.code else ""
            told.append(
                f"{ASKED[one.operation]} was tried {when}: {one.outcome}{code}. {one.reason or ''}".strip()
            )
    return told


def moment(at: datetime) -> str:
    """A time in UTC, as the sentences say it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
