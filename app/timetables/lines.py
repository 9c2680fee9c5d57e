"""Newline-delimited JSON from a stream, a line at a time, in bounded memory whatever comes."""

import zlib
from collections.abc import AsyncIterator, Iterator

import msgspec

from app.errors import Invalid

__all__ = ["Line", "gunzip", "split_lines"]

GZIP = 16 + zlib.MAX_WBITS
CHUNK = 256 * 1024


class Line(msgspec.Struct, frozen=True):
    """A line that is not empty. ``number`` counts from 1, empty ones too; ``data`` None: it was too long."""

    number: int
    data: bytes | None


async def split_lines(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[Line]:
    """The lines of a stream. One longer than ``limit`` bytes is skipped without being held in memory."""
    held = bytearray()
    length = 0
    number = 1
    async for chunk in chunks:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            length += end - start
            if length > limit:
                yield Line(number, None)
            elif line := (bytes(held) + chunk[start:end]).strip():
                yield Line(number, line)
            held.clear()
            length = 0
            number += 1
            start = end + 1
        length += len(chunk) - start
        if length > limit:
            held.clear()
        else:
            held += chunk[start:]
    if length > limit:
        yield Line(number, None)
    elif line := bytes(held).strip():
        yield Line(number, line)


async def gunzip(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The content of a gzip stream (RFC 1952, several members too), in pieces of bounded size.

    Raises Invalid (code ``invalid_gzip``) where it is none, or was cut off.
    """
    decoder = zlib.decompressobj(GZIP)
    fresh = True
    async for chunk in chunks:
        while chunk:
            if decoder.eof:
                decoder = zlib.decompressobj(GZIP)
            fresh = False
            for piece in _inflate(decoder, chunk):
                yield piece
            chunk = decoder.unused_data
    if not decoder.eof and not fresh:
        raise Invalid("invalid_gzip", "The gzip data was cut off.")


def _inflate(decoder: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    while data and not decoder.eof:
        try:
            piece = decoder.decompress(data, CHUNK)
        except zlib.error:
            raise Invalid("invalid_gzip", "Not gzip data.") from None
        data = decoder.unconsumed_tail
        if piece:
            yield piece
