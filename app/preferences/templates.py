"""Templates for the texts of events: a small part of Jinja's language, in which nothing can take long.

Texts, ``{{ expressions }}`` over an event's fields, ``{% if %}`` and a few filters: that is all. There are no
loops, calls, calculations and variables, each template and each result is bounded in size, and so the work is
at most that of going through the event's texts once for each of the template's expressions.

Jinja's sandbox (https://jinja.palletsprojects.com/en/stable/sandbox/) keeps a template from what is not its
business, and does not bound time and memory: ``'a' * 10**9`` is fine by it. Therefore all that is not named
here is refused before it is compiled.
"""

import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from providers.contract import Event

__all__ = ["FAILURES", "FIELDS", "MAX_RESULT", "Template", "check_template", "template"]

MAX_TEMPLATE = 10_000
"""Characters of a template."""
MAX_RESULT = 30_000
"""Characters of what a template, and each filter in it, gives."""
MAX_NODES = 500
"""Of a template's syntax tree: about as many words in all its expressions."""
MAX_DEPTH = 50
"""How far a template's syntax may be nested."""

FIELDS = ("title", "description", "location", "categories", "url", "start", "end", "uid", "allDay")
"""What a template knows of its event. ``start`` and ``end`` are on the wall clock of the event, and aware."""

DATE_PARTS = frozenset({"year", "month", "day", "hour", "minute", "second"})

ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Const,
    nodes.Name,
    nodes.If,
    nodes.CondExpr,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Compare,
    nodes.Operand,
    nodes.Neg,
    nodes.Tuple,
    nodes.List,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.Filter,
    nodes.Test,
)

WORDS = {
    nodes.For: "There are no loops; for a list there is the filter join.",
    nodes.Call: "Nothing can be called; for texts and times there are filters.",
    nodes.Assign: "There are no variables.",
    nodes.Concat: "Texts are put together by writing them next to each other, not by ~.",
}
"""What to do instead of what is refused most often."""

STRFTIME = re.compile("([^%\x00]|%-?[aAbBdHIjmMpuVyYzZ%])*")
"""Formats of a time: no widths, which would make any text long."""


FAILURES = (jinja2.TemplateError, TypeError, ValueError, LookupError, ArithmeticError)
"""What a template can raise for an event that it was not made for."""


class _TooLong(ValueError):
    """A filter's result would be longer than MAX_RESULT."""


def _text(value: object) -> str:
    """The text that a filter works on. Raises TypeError, or jinja2's UndefinedError for what is not there."""
    if isinstance(value, jinja2.Undefined):
        return str(value)
    if not isinstance(value, str):
        raise TypeError("This filter is for texts.")
    return value


def _bounded(length: int) -> None:
    if length > MAX_RESULT:
        raise _TooLong(f"A text of more than {MAX_RESULT} characters.")


def _replace(value: object, old: str, new: str) -> str:
    text = _text(value)
    _bounded(len(text) + text.count(_text(old)) * len(_text(new)))
    return text.replace(old, new)


def _join(value: Iterable[object], separator: str = "") -> str:
    parts = [_text(part) for part in value]
    _bounded(sum(map(len, parts)) + len(parts) * len(_text(separator)))
    return separator.join(parts)


def _truncate(value: object, length: int = 255, end: str = "…") -> str:
    text = _text(value)
    return text if len(text) <= length else text[: max(length - len(_text(end)), 0)] + end


def _default(value: object, other: object) -> object:
    return other if isinstance(value, jinja2.Undefined) or value in ("", ()) else value


def _strftime(value: object, format: str) -> str:
    if not isinstance(value, datetime):
        raise TypeError("strftime is for start and end.")
    if not STRFTIME.fullmatch(format):
        raise ValueError(
            "strftime knows %a %A %b %B %d %H %I %j %m %M %p %u %V %y %Y %z %Z, and %-d and so on."
        )
    return value.strftime(format)


def _upper(value: object) -> str:
    return _text(value).upper()


def _lower(value: object) -> str:
    return _text(value).lower()


def _capitalize(value: object) -> str:
    return _text(value).capitalize()


def _trim(value: object) -> str:
    return _text(value).strip()


def _first(value: Sequence[object]) -> object:
    return value[0] if value else jinja2.StrictUndefined("There is no first one.")


def _last(value: Sequence[object]) -> object:
    return value[-1] if value else jinja2.StrictUndefined("There is no last one.")


FILTERS: dict[str, Callable[..., Any]] = {
    "capitalize": _capitalize,
    "default": _default,
    "first": _first,
    "join": _join,
    "last": _last,
    "length": len,
    "lower": _lower,
    "replace": _replace,
    "strftime": _strftime,
    "trim": _trim,
    "truncate": _truncate,
    "upper": _upper,
}


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.globals.clear()
    environment.filters = dict(FILTERS)
    environment.tests = {"defined": environment.tests["defined"]}
    return environment


_ENVIRONMENT = _environment()


class Template:
    """A template, compiled."""

    def __init__(self, text: str) -> None:
        """Raises ValueError, in a sentence that names the line."""
        if len(text) > MAX_TEMPLATE:
            raise ValueError(f"Longer than {MAX_TEMPLATE} characters.")
        try:
            _check(_ENVIRONMENT.parse(text), 1)
            self._template = _ENVIRONMENT.from_string(text)
        except jinja2.TemplateSyntaxError as error:
            raise ValueError(f"Line {error.lineno}: {error.message}") from error
        except (RecursionError, MemoryError) as error:
            raise ValueError("Nested too deeply.") from error
        except (ValueError, OverflowError, SyntaxError) as error:
            raise ValueError(f"Not a template: {error}") from error

    def render(self, event: Event, limit: int = MAX_RESULT) -> str:
        """The text for an event, cut off at so many characters.

        Raises what an expression raises that fails on this event: one of FAILURES.
        """
        parts, room = [], limit
        for part in self._parts(event):
            parts.append(part[:room])
            room -= len(part)
            if room <= 0:
                break
        return "".join(parts)

    def _parts(self, event: Event) -> Iterator[str]:
        context = self._template.new_context(
            {
                "title": event.title,
                "description": event.description,
                "location": event.location,
                "categories": event.categories,
                "url": event.url,
                "start": event.local_start,
                "end": event.local_end,
                "uid": event.uid,
                "allDay": event.all_day,
            }
        )
        # The low-level way, since Template.generate spends longer on a failure's traceback than on all else.
        return self._template.root_render_func(context)


def _check(node: nodes.Node, depth: int) -> int:
    """Raises jinja2.TemplateSyntaxError for what is not allowed; gives the number of nodes."""
    if depth > MAX_DEPTH:
        raise jinja2.TemplateSyntaxError("Nested too deeply.", node.lineno)
    if message := _refusal(node):
        raise jinja2.TemplateSyntaxError(message, node.lineno)
    count = 1
    for child in node.iter_child_nodes():
        count += _check(child, depth + 1)
        if count > MAX_NODES:
            raise jinja2.TemplateSyntaxError(f"More than {MAX_NODES} words and signs.", child.lineno)
    return count


def _refusal(node: nodes.Node) -> str | None:
    match node:
        case nodes.Name(name=name) if name not in FIELDS:
            return f"There is no field {name!r}. Known are: {', '.join(FIELDS)}."
        case nodes.Getattr(attr=attribute) if attribute not in DATE_PARTS:
            return f"There is no {attribute!r}. Of start and end there are: {', '.join(sorted(DATE_PARTS))}."
        case nodes.Getitem(arg=position) if not _is_position(position):
            return "What stands in [ ] is a whole number, or two with a colon between them."
        case nodes.Filter(name=name) if name not in FILTERS:
            return f"There is no filter {name!r}. Known are: {', '.join(FILTERS)}."
        case nodes.Test(name=name) if name != "defined":
            return f"There is no test {name!r}. Known is: defined."
    if isinstance(node, ALLOWED):
        return None
    return WORDS.get(type(node), f"Not possible in these templates: {type(node).__name__.lower()}.")


def _is_position(node: nodes.Node | None) -> bool:
    match node:
        case None:
            return True
        case nodes.Slice(start=start, stop=stop, step=None):
            return _is_position(start) and _is_position(stop)
        case nodes.Neg(node=number):
            return _is_position(number)
        case nodes.Const(value=value):
            return type(value) is int
        case _:
            return False


@lru_cache(maxsize=1024)
def template(text: str) -> Template:
    """The template, compiled once for all who use the same. Raises ValueError."""
    return Template(text)


_SAMPLE = Event(
    uid="sample",
    title="Introduction to Computing",
    start=datetime(2026, 9, 7, 9, tzinfo=UTC),
    end=datetime(2026, 9, 7, 9, tzinfo=UTC) + timedelta(minutes=105),
    time_zone="Europe/Amsterdam",
    location="Hall 1",
    description="Bring a pencil.",
    categories=("Lecture", "Computing"),
    url="https://timetable.example/sample",
)


def check_template(text: str) -> str | None:
    """What is wrong with a template, in a sentence that names the line, or None.

    It is tried on an event that has all fields and two categories; it may still fail on others.
    """
    try:
        template(text).render(_SAMPLE)
    except FAILURES as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == "<template>"]
        if not lines:
            return str(error)
        line = template(text)._template.get_corresponding_lineno(lines[-1] or 1)
        return f"Line {line}: fails on an event that has everything: {error}"
    return None
