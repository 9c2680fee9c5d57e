"""Pages: where the next one is, and that the source does not lead us round in circles."""

from collections.abc import Mapping
from hashlib import sha256

import msgspec
from yarl import URL

from app.sources.contract import Json, ReadFailed
from app.sources.fetch import Answer, FetchFailed, check_url, same_origin

__all__ = ["Pages", "with_query"]


class Pages:
    """The pages of one request. Raises ReadFailed where they cannot come to a good end."""

    def __init__(self, first_url: str, max_pages: int, max_records: int) -> None:
        self.number = 0
        """Of the page that is read, from 1."""
        self._first_url = first_url
        self._max_pages = max_pages
        self._max_records = max_records
        self._count = 0
        self._asked: set[str] = set()
        self._contents: set[bytes] = set()

    def ask(self, url: str) -> None:
        """A further page is asked for, at this URL."""
        self.number += 1
        if self.number > self._max_pages:
            raise ReadFailed(f"There are more than {self._max_pages} pages ([sources] max_pages).")
        if url in self._asked:
            raise ReadFailed("The source's pages go round in circles: one names an earlier one as the next.")
        self._asked.add(url)

    def got(self, records: list[Json]) -> None:
        """The page holds these records; the same ones again mean that the source gives no other page."""
        if not records:
            return
        self._count += len(records)
        if self._count > self._max_records:
            raise ReadFailed(
                f"It gives more than {self._max_records} records ([sources] max_records). Ask for fewer at a"
                " time, for example for each person or department."
            )
        content = sha256(msgspec.json.encode(records)).digest()
        if content in self._contents:
            raise ReadFailed("The source gives the same page again and again.")
        self._contents.add(content)

    def link(self, answer: Answer) -> str | None:
        """The URL of the next page by the Link header (RFC 8288); None: this is the last."""
        return None if answer.next_url is None else self.same_source(answer.next_url)

    def same_source(self, url: str) -> str:
        """The URL, made absolute, where it leads to the source itself: our credentials go with it."""
        try:
            first = check_url(self._first_url)
            absolute = check_url(str(first.join(URL(url))))
        except (FetchFailed, ValueError):
            raise ReadFailed("The source names as its next page what is no http or https address.") from None
        if not same_origin(first, absolute):
            raise ReadFailed("The source names a page of another server as its next one.")
        return str(absolute)


def with_query(url: str, query: Mapping[str, Json]) -> str:
    """The URL with further parameters: a list gives one for each element, null none.

    Raises ReadFailed for a value that no parameter can have.
    """
    pairs = []
    for name, value in query.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, bool):
                pairs.append((name, "true" if item else "false"))
            elif isinstance(item, str | int | float):
                pairs.append((name, str(item)))
            elif item is not None:
                raise ReadFailed(
                    f"The query's {name} is an object or a list of lists: no parameter can be that."
                )
    try:
        return str(URL(url).update_query(pairs) if pairs else URL(url))
    except ValueError:
        raise ReadFailed("The address that the account and the query make is no URL.") from None
