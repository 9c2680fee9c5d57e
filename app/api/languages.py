"""``Accept-Language`` (RFC 9110 section 12.5.4): which of several languages somebody reads best."""

import re
from collections.abc import Iterable

__all__ = ["best_language", "languages"]

RANGE = re.compile(
    r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?", re.ASCII
)


def languages(header: str | None) -> list[str]:
    """The languages that the header names, in lower case, the preferred one first; none: any will do.

    ``*`` names none, nor does what is no language, nor one of weight 0.
    """
    weights: dict[str, float] = {}
    for item in (header or "").split(","):
        if (match := RANGE.fullmatch(item)) and (weight := float(match[2] or 1)):
            weights.setdefault(match[1].lower(), weight)
    return sorted(weights, key=lambda language: -weights[language])


def best_language(preferred: Iterable[str], available: Iterable[str], fallback: str) -> str:
    """Which of the available languages to answer in, by lookup (RFC 4647 section 3.4): ``nl`` for ``nl-BE``.

    All languages are in lower case.
    """
    known = frozenset(available)
    for language in preferred:
        subtags = language.split("-")
        while subtags:
            if (candidate := "-".join(subtags)) in known:
                return candidate
            subtags.pop()
            if subtags and len(subtags[-1]) == 1:  # what a singleton introduces went with its subtag
                subtags.pop()
    return fallback
