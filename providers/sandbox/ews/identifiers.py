"""Item ids, folder ids and change keys: opaque, case-sensitive base64, as long as Exchange's."""

import base64
import binascii
from hashlib import blake2b
from secrets import token_hex

from providers.sandbox.ews.soap import ResponseError

__all__ = [
    "change_key",
    "change_number",
    "folder_id",
    "item_id",
    "item_serial",
    "read_folder_id",
    "read_item_id",
]

_ITEM = b"\x00\x00\x00\x46"
_FOLDER = b"\x00\x00\x00\x2e"
_CHANGE = b"\x0f\x00\x00\x00\x16\x00\x00\x00"
_DIGEST = 16


def _digest(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode(), digest_size=_DIGEST).digest()


def _encode(kind: bytes, address: str, name: str) -> str:
    owner, name_bytes = address.casefold().encode(), name.encode()
    content = bytes([len(owner)]) + owner + bytes([len(name_bytes)]) + name_bytes
    return base64.b64encode(kind + _digest(address.casefold(), name) + content).decode()


def _decode(kind: bytes, value: str) -> tuple[str, str]:
    try:
        data = base64.b64decode(value, validate=True)
        head = len(kind) + _DIGEST
        owner_end = head + 1 + data[head]
        owner = data[head + 1 : owner_end].decode()
        name = data[owner_end + 1 : owner_end + 1 + data[owner_end]].decode()
    except (binascii.Error, IndexError, ValueError) as error:
        raise ResponseError("ErrorInvalidIdMalformed", "Id is malformed.") from error
    if not data.startswith(kind) or data[len(kind) : head] != _digest(owner, name):
        raise ResponseError("ErrorInvalidIdMalformed", "Id is malformed.")
    return owner, name


def item_id(address: str, serial: int) -> str:
    """A new id for the item that was made as number ``serial`` in the mailbox with this address.

    It never comes again, not even after the mailbox was removed and made anew.
    """
    return _encode(_ITEM, address, f"{serial}-{token_hex(8)}")


def read_item_id(value: str) -> str:
    """The address of the mailbox that an item id is from. Raises ErrorInvalidIdMalformed."""
    return _decode(_ITEM, value)[0]


def item_serial(value: str) -> int:
    """The number as which the item was made in its mailbox. Raises ErrorInvalidIdMalformed."""
    return int(_decode(_ITEM, value)[1].partition("-")[0])


def folder_id(address: str, name: str) -> str:
    """The id of a folder by its distinguished name."""
    return _encode(_FOLDER, address, name)


def read_folder_id(value: str) -> tuple[str, str]:
    """The mailbox address and the distinguished name of a folder id. Raises ErrorInvalidIdMalformed."""
    return _decode(_FOLDER, value)


def change_key(identifier: str, number: int) -> str:
    """The change key of version ``number`` of what ``identifier`` names."""
    return base64.b64encode(_CHANGE + _digest(identifier)[:10] + number.to_bytes(8, "big")).decode()


def change_number(identifier: str, key: str) -> int:
    """The version that a change key names. Raises ErrorInvalidChangeKey if it is of something else."""
    try:
        data = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ResponseError("ErrorInvalidChangeKey", "The change key is invalid.") from error
    number = int.from_bytes(data[-8:], "big")
    if change_key(identifier, number) != key:
        raise ResponseError("ErrorInvalidChangeKey", "The change key is invalid.")
    return number
