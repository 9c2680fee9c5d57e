"""How long lists are asked for page by page."""

from typing import Annotated, TypeAlias

from litestar.params import QueryParameter

__all__ = ["Cursor", "Limit"]

Limit: TypeAlias = Annotated[int, QueryParameter(description="How many on a page.", ge=1, le=1000)]
Cursor: TypeAlias = Annotated[
    str | None, QueryParameter(description="`next` of the page before.", pattern=r"^[0-9]{1,18}$")
]
