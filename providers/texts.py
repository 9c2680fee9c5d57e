"""Texts as providers keep them: cut where there is no room, and with white space of their own."""

__all__ = ["plain", "shortened"]


def shortened(text: str, longest: int | None) -> str:
    """As much of the text as fits into ``longest`` UTF-16 code units, with "…" for the rest; None: all."""
    units = text.encode("utf-16-le")
    if longest is None or len(units) <= 2 * longest:
        return text
    return units[: 2 * (longest - 1)].decode("utf-16-le", "ignore") + "…"


def plain(text: str) -> str:
    """A text without what providers and clients change by themselves when they turn it into HTML and back.

    That is kinds of line ends, white space around lines, and empty lines.
    """
    lines = (line.strip() for line in text.replace("\xa0", " ").splitlines())
    return "\n".join(line for line in lines if line)
