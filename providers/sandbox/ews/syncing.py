"""SyncFolderItems: what came, changed or went in a folder since a state ([MS-OXWSSYNC] 3.1.4.2)."""

import base64
import binascii
from collections.abc import Iterator

import msgspec
from lxml import etree

from providers.sandbox.ews.access import Caller
from providers.sandbox.ews.identifiers import item_serial
from providers.sandbox.ews.properties import View, render_item
from providers.sandbox.ews.shapes import view
from providers.sandbox.ews.soap import MESSAGES, TYPES, ResponseError
from providers.sandbox.state import SandboxMailbox

__all__ = ["sync_items"]

_T, _M = f"{{{TYPES}}}", f"{{{MESSAGES}}}"


class _State(msgspec.Struct, array_like=True):
    """What a client knows. Numbers are the mailbox's serials; 0 is before everything."""

    mailbox: str
    folder: str
    since: int = 0
    """It knows all changes up to this one."""
    until: int = 0
    """Within a round of several answers: the mailbox's last change when the round began; else 0."""
    after: int = 0
    """Within a round: everything that was made up to this one has been told."""


def sync_items(caller: Caller, body: etree._Element, element: etree._Element) -> str:
    """The content of the one response message. Raises ``ResponseError``."""
    target, shape = body.find(f"{_M}SyncFolderId"), body.find(f"{_M}ItemShape")
    assert target is not None
    assert shape is not None
    mailbox, folder = caller.folder(target[0])
    if shape.findtext(f"{_T}IncludeMimeContent") in ("true", "1"):
        raise ResponseError("ErrorInvalidPropertyForOperation", "MimeContent is not for this operation.")
    state = _read(body.findtext(f"{_M}SyncState"), mailbox, folder.name)
    until = state.until or mailbox.serial
    ignored = {one.get("Id") for one in body.iterfind(f"{_M}Ignore/{_T}ItemId")}
    limit = int(body.findtext(f"{_M}MaxChangesReturned") or 0)
    shown = view(shape, mailbox, find=True)
    told: list[tuple[int, str]] = []
    for made, xml in _changes(mailbox, folder.name, state, until, shown, ignored):
        told.append((made, xml))
        if len(told) > limit:
            break
    more, told = len(told) > limit, told[:limit]
    if more:
        state = _State(state.mailbox, folder.name, state.since, until, told[-1][0])
    else:
        state = _State(state.mailbox, folder.name, until)
    encoded = base64.b64encode(msgspec.json.encode(state)).decode()
    return (
        f"<m:SyncState>{encoded}</m:SyncState>"
        f"<m:IncludesLastItemInRange>{'false' if more else 'true'}</m:IncludesLastItemInRange>"
        f"<m:Changes>{''.join(xml for _, xml in told)}</m:Changes>"
    )


def _changes(
    mailbox: SandboxMailbox, folder: str, state: _State, until: int, shown: View, ignored: set[str | None]
) -> Iterator[tuple[int, str]]:
    """When each was made, and its change, in the order in which they were made."""
    there = [native for native in mailbox.events.values() if native["folder"] == folder]
    gone = [one for one in mailbox.native.get("removed", []) if one["folder"] == folder]
    by_age = sorted(((item_serial(one["id"]), one) for one in (*there, *gone)), key=lambda pair: pair[0])
    for made, native in by_age:
        if not state.after < made <= until or native["id"] in ignored:
            continue
        if "removed" in native:
            if native["removed"] > state.since >= made:
                yield made, f'<t:Delete><t:ItemId Id="{native["id"]}"/></t:Delete>'
        elif native["change"] > state.since:
            kind = "Create" if made > state.since else "Update"
            yield made, f"<t:{kind}>{render_item(native, shown)}</t:{kind}>"


def _read(text: str | None, mailbox: SandboxMailbox, folder: str) -> _State:
    """The state in a request; one of another folder or mailbox is none."""
    if not text:
        return _State(mailbox.address.casefold(), folder)
    try:
        state = msgspec.json.decode(base64.b64decode(text, validate=True), type=_State)
    except (binascii.Error, msgspec.DecodeError) as error:
        raise _unknown() from error
    if (state.mailbox, state.folder) != (mailbox.address.casefold(), folder):
        raise _unknown()
    return state


def _unknown() -> ResponseError:
    return ResponseError("ErrorInvalidSyncStateData", "Synchronization state data is corrupt or not valid.")
