"""What our events want of the categories of a mailbox: that they are there, in their colours.

Exchange and Microsoft 365 keep one list of categories a mailbox, with colours by the same numbers.
"""

from collections.abc import Callable, Sequence

import msgspec

from providers.contract import Colour, Create, Delete, Event, Move, Operation

__all__ = ["NO_COLOUR", "NUMBERS", "Wish", "wishes"]

NUMBERS: dict[Colour, int] = {
    "red": 0,
    "orange": 1,
    "yellow": 3,
    "green": 4,
    "teal": 5,
    "blue": 7,
    "purple": 8,
    "cranberry": 9,
    "grey": 12,
}
"""The numbers of colours in the list: Graph's presets, and Outlook's OlCategoryColor without its first."""

NO_COLOUR = -1
"""The number of a category without one, which is how categories look that are not in the list."""


class Wish(msgspec.Struct, kw_only=True):
    """What we want of one category. ``before``: what we wanted earlier, and want no more."""

    name: str
    colour: Colour | None
    before: frozenset[Colour]

    def change(self, there: int | None) -> int | None:
        """The number to put in the place of the one that is there (None: no such category); None: none.

        A colour that is neither what we want nor what we wanted was chosen by the person, and stays.
        """
        wanted = NO_COLOUR if self.colour is None else NUMBERS[self.colour]
        if there is None:
            return None if self.colour is None else wanted
        return wanted if there != wanted and there in {NUMBERS[one] for one in self.before} else None


def wishes(
    operations: Sequence[Operation], named: Callable[[Event], Sequence[str]] = lambda event: event.categories
) -> list[Wish]:
    """What these operations want of categories: each once, a colour before none.

    ``named`` gives an event's categories, in their order, by the names that the provider has for them.
    """
    found: dict[str, Wish] = {}
    for operation in operations:
        if isinstance(operation, Delete | Move):
            continue
        possible = () if isinstance(operation, Create) else operation.possible
        event = operation.event
        for category, name in zip(event.categories, named(event), strict=True):
            colour = event.colours.get(category)
            earlier = {one.colours.get(category) for one in possible}
            if earlier == {colour} or (colour is None and not any(earlier)):
                continue
            wish = found.setdefault(name.casefold(), Wish(name=name, colour=colour, before=frozenset()))
            wish.colour = wish.colour or colour
            wish.before |= {one for one in earlier if one is not None}
    for wish in found.values():
        wish.before -= {wish.colour}
    return list(found.values())
