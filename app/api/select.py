"""``$select``: an answer with the properties alone that the caller asks for.

A list of names separated by commas; ``a/b`` is the property ``b`` of the property ``a``, or of each item if
``a`` is a list. In a page, the names are those of its items: what is around them stays.
"""

from typing import Annotated, Any, TypeAlias

import msgspec
from litestar import Response
from litestar.params import QueryParameter
from msgspec import inspect

from app.errors import BadRequest

__all__ = ["Select", "Selection"]

Select: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        name="$select",
        description="Only these properties, separated by commas; `a/b` is the property `b` of `a`. In a page,"
        " they are those of its items.",
        max_length=2000,
    ),
]

Tree = dict[str, Any]
"""Names, each with what is known or chosen below it; nothing: all there is."""


class Selection:
    """What a caller selects of an answer of this type; with ``items``, of those in that list of it.

    Raises BadRequest for a name that is not known; it lists those that are.
    """

    def __init__(self, answer: type[msgspec.Struct], select: str | None, items: str | None = None) -> None:
        self._items = items
        self._chosen: Tree | None = None
        if select is not None:
            known = _names(inspect.type_info(answer))
            self._chosen = _parse(select, known[items] if items else known)

    def of(self, answer: Any, headers: dict[str, str] | None = None) -> Response[Any]:
        """The answer, or what is selected of it."""
        if self._chosen is not None:
            answer = msgspec.to_builtins(answer)
            if self._items is None:
                answer = _only(answer, self._chosen)
            else:
                answer[self._items] = _only(answer[self._items], self._chosen)
        return Response(answer, headers=headers)


def _names(info: inspect.Type) -> Tree:
    """The names of the properties of a type, as they are in JSON."""
    match info:
        case inspect.StructType(fields=fields):
            return {field.encode_name: _names(field.type) for field in fields}
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return _names(item)
        case inspect.UnionType(types=types):
            return {name: below for type in types for name, below in _names(type).items()}
        case _:
            return {}


def _paths(known: Tree, prefix: str = "") -> list[str]:
    return [
        path
        for name, below in known.items()
        for path in (f"{prefix}{name}", *_paths(below, f"{prefix}{name}/"))
    ]


def _parse(select: str, known: Tree) -> Tree:
    chosen: Tree = {}
    for path in select.split(","):
        level, names = chosen, known
        parts = path.strip().split("/")
        for position, name in enumerate(parts):
            if name not in names:
                raise BadRequest(
                    "unknown_property",
                    f"$select: there is no such property. Known are: {', '.join(_paths(known))}.",
                )
            whole = level.get(name) == {}  # chosen as a whole already
            if position == len(parts) - 1:
                level[name] = {}
            elif whole:
                break
            else:
                level = level.setdefault(name, {})
            names = names[name]
    return chosen


def _only(value: Any, chosen: Tree) -> Any:
    if not chosen or value is None:
        return value
    if isinstance(value, list):
        return [_only(item, chosen) for item in value]
    return {name: _only(value[name], below) for name, below in chosen.items() if name in value}
