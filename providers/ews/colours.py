"""Seeing to it that the categories of what we write have their colours in the mailbox."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import structlog

from providers.contract import Clock, Gone, Operation, Outcome, Permit, Refused
from providers.ews.categories import CategoryList, Unreadable, Wish, read_list, wishes, write_list
from providers.ews.outcomes import write_outcome
from providers.ews.session import MailboxAccount
from providers.ews.soap import Fault

__all__ = ["Colours"]

MAILBOXES = 20_000
"""How many mailboxes' categories are remembered; a mailbox that was forgotten costs one request more."""

_log = structlog.get_logger()


class Colours:
    """What this process knows of the master categories of mailboxes. Safe to use from many threads.

    The list is read before it is written, so that what another worker has made is not made twice. It can
    only be written whole, on no condition: who changes it in that moment, loses the change.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._known: OrderedDict[str, dict[str, int] | None] = OrderedDict()
        """The numbers of colours by category, by mailbox; None: the list is closed to us."""

    def see_to(self, account: MailboxAccount, operations: Sequence[Operation], permit: Permit) -> None:
        """Make or change the categories that the operations want, in two requests, and mostly in none.

        A list that is closed to us is none of our business and holds nothing up: that is logged once a
        mailbox, with what to grant. Other failures are raised, as ``outcomes.FAILURES`` lists them.
        """
        wanted = wishes(operations)
        if not wanted or self._fulfilled(account.address, wanted):
            return
        try:
            known = self._write(account, wanted, permit)
        except Unreadable:
            self._remember(account.address, None)
            _log.warning(
                "category_list_unreadable",
                mailbox=account.address,
                advice="Let its owner open Outlook's list of categories once, which repairs it.",
            )
        except Fault as fault:
            refusal = write_outcome(fault, self._clock)
            if not _closed(refusal):
                raise
            self._remember(account.address, None)
            _log.warning(
                "category_list_refused",
                mailbox=account.address,
                code=fault.code,
                advice="Categories there have no colours of ours. Let the service account impersonate the "
                "mailbox, or make it an Owner of the calendar, and restart Rooster.",
            )
        else:
            self._remember(account.address, known)

    def _write(self, account: MailboxAccount, wanted: list[Wish], permit: Permit) -> dict[str, int]:
        data = read_list(account)
        while True:
            categories = CategoryList(data)
            there = categories.colours()
            changes = {
                wish.name: colour
                for wish in wanted
                if (colour := wish.change(there.get(wish.name.casefold()))) is not None
            }
            if not changes:
                return there
            for name, colour in changes.items():
                categories.put(name, colour)
            try:
                write_list(account, categories.save(self._clock()), new=data is None, permit=permit)
            except Fault as fault:
                if data is not None or not _closed(write_outcome(fault, self._clock)):
                    raise
                data = read_list(account)  # somebody else may have made one in this moment
                if data is None:
                    raise
            else:
                return categories.colours()

    def _fulfilled(self, address: str, wanted: list[Wish]) -> bool:
        with self._lock:
            if address.lower() not in self._known:
                return False
            known = self._known[address.lower()]
        return known is None or all(wish.change(known.get(wish.name.casefold())) is None for wish in wanted)

    def _remember(self, address: str, known: dict[str, int] | None) -> None:
        with self._lock:
            self._known[address.lower()] = known
            self._known.move_to_end(address.lower())
            if len(self._known) > MAILBOXES:
                self._known.popitem(last=False)


def _closed(refusal: Outcome) -> bool:
    """Whether it is the list that is closed to us, and not the whole mailbox, Exchange or the account."""
    if isinstance(refusal, Gone):
        return refusal.what != "mailbox"
    return isinstance(refusal, Refused) and refusal.scope != "account"
