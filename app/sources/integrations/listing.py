"""A list of ``http-json`` being read, page by page, as its resource declares."""

import re

from yarl import URL

from app.sources.client import decode_json
from app.sources.contract import Json, ListChanged, ReadFailed
from app.sources.fetch import Answer
from app.sources.integrations.declared import Pagination, Resource, find, is_there
from app.sources.integrations.paging import Pages, with_query

__all__ = ["Listing"]


class Listing:
    """The pages of one request. An end that comes too soon is a failure, never a shorter list."""

    def __init__(self, resource: Resource, method: str, first_url: str, pages: Pages) -> None:
        self.url: str | None = first_url
        """Of the page to ask for; None at the end."""
        self.number = 0
        """Of the page that was taken last, from 1."""
        self._resource = resource
        self._method = method
        self._first_url = first_url
        self._pages = pages
        self._pages.ask(first_url)
        self._count = 0
        self._size = _asked_size(first_url, resource.pagination)
        self._said: int | None = None
        """How many records there are, as the page before said."""

    def take(self, answer: Answer) -> list[Json]:
        """The records of the page, and on to the next. Raises ReadFailed for what is no such page."""
        self.number += 1
        body = decode_json(answer)
        found, is_list = self._records(body)
        self._pages.got(found)
        self._count += len(found)
        self.url = None if self._method == "get" and not is_list else self._next(answer, body, found)
        if self.url is not None:
            if self._method == "get":
                raise ReadFailed(
                    "The source answers with an array that may go on in a further page: the method get reads"
                    " one object, list reads an array in pages."
                )
            self._pages.ask(self.url)
        return found

    def _records(self, body: Json) -> tuple[list[Json], bool]:
        """The records, and whether the answer has a list of them: an object alone is for ``get``."""
        if self._resource.error and find(self._resource.error, body):
            raise ReadFailed("The source answers with an error, although with HTTP status 200.")
        found = find(self._resource.records, body)
        if self._method == "get" and isinstance(found, dict):
            return [found], False
        if not isinstance(found, list):
            raise ReadFailed(f"The source's answer has no list of records at {self._resource.records!r}.")
        return found, True

    def _next(self, answer: Answer, body: Json, found: list[Json]) -> str | None:
        before, total = self._said, self._total(body)
        self._said = total
        if before is not None and total != before:
            # What was on a page that is not read any more may have moved to one that was read already.
            raise ListChanged(
                f"The source said first that there are {before} records, and then {total}: what it lists"
                " changed while it was read."
            )
        url: str | None = None
        match self._resource.pagination.by:
            case "link":
                url = self._pages.link(answer)
            case "cursor":
                url = self._at_cursor(body, found)
            case "page" if found and (total is None or self._count < total):
                # A short page is not taken for the last: it may have been cut off. The last is empty.
                url = self._numbered()
        if url is None and answer.next_url is not None:
            raise ReadFailed(
                "The source has a further page (Link) to which the declared pagination does not lead:"
                " correct the resource's pagination."
            )
        if url is None and total is not None and self._count != total:
            raise ReadFailed(f"The source says that there are {total} records, and gave {self._count}.")
        return url

    def _total(self, body: Json) -> int | None:
        where = self._resource.pagination.total
        if where is None:
            return None
        total = find(where, body)
        if isinstance(total, bool) or not isinstance(total, int):
            raise ReadFailed(f"The source's answer has no number of records at {where!r}.")
        return total

    def _numbered(self) -> str:
        paging = self._resource.pagination
        number = paging.first + self.number * paging.step
        return with_query(self._first_url, {paging.parameter: number})

    def _at_cursor(self, body: Json, found: list[Json]) -> str | None:
        paging = self._resource.pagination
        cursor = find(paging.next, body)
        if cursor in (None, "", False):
            full = self._size is not None and len(found) >= self._size
            if self.number == 1 and full and paging.total is None and not is_there(paging.next, body):
                raise ReadFailed(
                    f"The first page is full ({len(found)} records), and the source's answer has nothing at"
                    f" {paging.next!r}, where a cursor would be: correct pagination.next. If this is all that"
                    " there is, declare pagination.total, or ask for more in a page (pagination.size)."
                )
            return None
        if not isinstance(cursor, str | int) or cursor is True:
            raise ReadFailed(f"The source's answer has no cursor at {paging.next!r} that could be sent.")
        if paging.parameter:
            return with_query(self._first_url, {paging.parameter: cursor})
        return self._pages.same_source(str(cursor))


def _asked_size(url: str, paging: Pagination) -> int | None:
    """How many records a page is asked for: what the job's query says comes before what is declared."""
    asked = URL(url).query.get(paging.size_parameter, "") if paging.size_parameter else ""
    return int(asked) if re.fullmatch("[1-9][0-9]{0,8}", asked) else None
