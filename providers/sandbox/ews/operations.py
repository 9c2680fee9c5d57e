"""The operations: from the body of a request to one response message for each of its items."""

from collections.abc import Callable, Iterable

import msgspec
from lxml import etree

from providers.sandbox.ews import configurations, folders, identifiers, items, timezones
from providers.sandbox.ews.access import Caller
from providers.sandbox.ews.changes import Change, read_changes, read_item
from providers.sandbox.ews.faults import ITEM_OPERATIONS, Plan
from providers.sandbox.ews.finding import find_in_folder
from providers.sandbox.ews.properties import View, render_item
from providers.sandbox.ews.shapes import ID_ONLY, view
from providers.sandbox.ews.soap import (
    MESSAGES,
    TYPES,
    ResponseError,
    attribute,
    escape,
    local,
    response_message,
)
from providers.sandbox.ews.syncing import sync_items
from providers.sandbox.state import Native, SandboxMailbox

__all__ = ["Call", "carry_out", "item_elements"]

_T, _M = f"{{{TYPES}}}", f"{{{MESSAGES}}}"


class Call(msgspec.Struct, kw_only=True):
    """One request: who asks, what, and what is to go wrong with it."""

    caller: Caller
    body: etree._Element
    plan: Plan
    written: tuple[SandboxMailbox, Native] | None = None
    """The calendar item that was made or changed last, and where it is."""

    def part(self, name: str) -> etree._Element:
        """A direct child of the request that its schema requires."""
        child = self.body.find(f"{_M}{name}")
        assert child is not None
        return child


_CONTAINERS = {
    "CreateItem": "Items",
    "UpdateItem": "ItemChanges",
    "DeleteItem": "ItemIds",
    "GetItem": "ItemIds",
    "CopyItem": "ItemIds",
    "MoveItem": "ItemIds",
    "FindItem": "ParentFolderIds",
    "GetFolder": "FolderIds",
    "CreateFolder": "Folders",
    "UpdateFolder": "FolderChanges",
    "DeleteFolder": "FolderIds",
    "FindFolder": "ParentFolderIds",
    "ConvertId": "SourceIds",
}
_EMPTY_ITEMS = "<m:Items/>"
_NO_STATE = "<m:SyncState/><m:IncludesLast{0}InRange>true</m:IncludesLast{0}InRange>"


def item_elements(body: etree._Element) -> list[etree._Element]:
    """What an operation is carried out on, one response message each: items, ids, or the request itself."""
    container = _CONTAINERS.get(local(body))
    found = None if container is None else body.find(f"{_M}{container}")
    return [body] if found is None else list(found)


def carry_out(call: Call) -> list[str]:
    """Carry out a request, item by item, and return its response messages."""
    operation = local(call.body)
    handle, empty = _HANDLERS[operation]
    verb = ITEM_OPERATIONS.get(operation)
    messages = []
    for index, element in enumerate(item_elements(call.body)):
        content: str | ResponseError
        try:
            call.plan.check(index)
            if index in call.plan.vanishes:
                _vanish(call, element)
            content = handle(call, element)
            if index in call.plan.moves_on and call.written is not None:
                mailbox, native = call.written
                items.stamp(mailbox, native, native["modifiedBy"], call.caller.state.now())
            if verb is not None:
                call.caller.state.stats.operation("ews", verb)
        except ResponseError as error:
            content = error
        messages.append(response_message(operation, content, empty))
    return messages


def _vanish(call: Call, element: etree._Element) -> None:
    """The person deletes the item that ``element`` names; the operation finds that out by itself.

    Raises ``ResponseError`` ErrorItemNotFound where it names none.
    """
    named = element if element.tag == f"{_T}ItemId" else element.find(f"{_T}ItemId")
    if named is None:
        raise ResponseError("ErrorItemNotFound", "The specified object was not found in the store.")
    items.remove_item(*call.caller.item(named))


def _item_xml(mailbox: SandboxMailbox, native: Native) -> str:
    return f"<m:Items>{render_item(native, View(properties=ID_ONLY, mailbox=mailbox))}</m:Items>"


def _count_mails(call: Call, native: Native, sending: str | None) -> None:
    """Exchange would send these now: one to each attendee."""
    if sending is None or sending == "SendToNone":
        return
    attendees = sum(
        len(native["fields"].get(f"calendar:{kind}", []))
        for kind in ("RequiredAttendees", "OptionalAttendees", "Resources")
    )
    if attendees:
        native["sent"] = True
        call.caller.state.stats.operation("ews", "mail", attendees)


def _create(call: Call, element: etree._Element) -> str:
    sending = call.body.get("SendMeetingInvitations")
    if sending is None:
        raise ResponseError(
            "ErrorSendMeetingInvitationsRequired",
            "SendMeetingInvitations attribute is required for calendar items.",
        )
    target = call.body.find(f"{_M}SavedItemFolderId")
    if target is None:
        mailbox, folder = call.caller.own(), "calendar"
    else:
        mailbox, found = call.caller.folder(target[0])
        folder = found.name
        if found.element != "CalendarFolder":
            raise ResponseError(
                "ErrorCannotCreateCalendarItemInNonCalendarFolder",
                "Calendar items can be created in calendar folders only.",
            )
    native = items.add_item(
        mailbox,
        folder,
        read_item(element),
        zone=call.caller.zone,
        by=call.caller.name,
        now=call.caller.state.now(),
    )
    call.written = mailbox, native
    _count_mails(call, native, sending)
    return _item_xml(mailbox, native)


def _update(call: Call, element: etree._Element) -> str:
    sending = call.body.get("SendMeetingInvitationsOrCancellations")
    if sending is None:
        raise ResponseError(
            "ErrorSendMeetingInvitationsOrCancellationsRequired",
            "SendMeetingInvitationsOrCancellations attribute is required for calendar items.",
        )
    mailbox, native = call.caller.item(element[0])
    changes = read_changes(element[1])
    _check_version(native, element[0], changes, str(call.body.get("ConflictResolution")))
    now = call.caller.state.now()
    items.apply(native, changes, call.caller.zone, now)
    items.stamp(mailbox, native, call.caller.name, now)
    call.written = mailbox, native
    _count_mails(call, native, sending)
    return f"{_item_xml(mailbox, native)}<m:ConflictResults><t:Count>0</t:Count></m:ConflictResults>"


def _check_version(
    native: Native, item_id: etree._Element, changes: Iterable[Change], resolution: str
) -> None:
    """ConflictResolution ([MS-OXWSCDATA] 2.2.5.8): AutoResolve merges what was not changed on both sides.

    Raises ``ResponseError`` ErrorChangeKeyRequired, ErrorInvalidChangeKey, ErrorIrresolvableConflict.
    """
    key = item_id.get("ChangeKey")
    if resolution == "AlwaysOverwrite":
        return
    if not key:
        raise ResponseError("ErrorChangeKeyRequired", "The change key is required for this operation.")
    number = identifiers.change_number(native["id"], key)
    if number == native["change"]:
        return
    touched = native["touched"]
    if resolution == "NeverOverwrite" or any(touched.get(change.key, 0) > number for change in changes):
        raise ResponseError(
            "ErrorIrresolvableConflict",
            "The send or update operation could not be performed because the change key passed in the"
            " request does not match the current change key for the item.",
        )


def _delete(call: Call, element: etree._Element) -> str:
    sending = call.body.get("SendMeetingCancellations")
    if sending is None:
        raise ResponseError(
            "ErrorSendMeetingCancellationsRequired",
            "SendMeetingCancellations attribute is required for calendar items.",
        )
    mailbox, native = call.caller.item(element)
    _count_mails(call, native, sending)
    if call.body.get("DeleteType") == "MoveToDeletedItems" and native["folder"] != "deleteditems":
        items.move_item(mailbox, native, mailbox, "deleteditems")
    else:
        items.remove_item(mailbox, native)
    return ""


def _get(call: Call, element: etree._Element) -> str:
    mailbox, native = call.caller.item(element)
    shown = view(call.part("ItemShape"), mailbox, find=False)
    return f"<m:Items>{render_item(native, shown)}</m:Items>"


def _target(call: Call) -> tuple[SandboxMailbox, str]:
    """Where a copy or a move goes: mailbox, and name of the folder in it. Raises ``ResponseError``."""
    try:
        mailbox, folder = call.caller.folder(call.part("ToFolderId")[0])
    except ResponseError as error:
        code = "ErrorToFolderNotFound" if error.code == "ErrorFolderNotFound" else error.code
        raise ResponseError(code, error.message) from error
    return mailbox, folder.name


def _copy(call: Call, element: etree._Element) -> str:
    mailbox, folder = _target(call)
    _, native = call.caller.item(element)
    copied = items.copy_item(mailbox, native, folder, call.caller.state.now())
    return _item_xml(mailbox, copied) if _wants_ids(call) else _EMPTY_ITEMS


def _move(call: Call, element: etree._Element) -> str:
    mailbox, folder = _target(call)
    source, native = call.caller.item(element)
    moved = items.move_item(source, native, mailbox, folder)
    return _item_xml(mailbox, moved) if _wants_ids(call) else _EMPTY_ITEMS


def _wants_ids(call: Call) -> bool:
    return (call.body.findtext(f"{_M}ReturnNewItemIds") or "true").strip() in ("true", "1")


def _time_zones(call: Call, body: etree._Element) -> str:
    wanted = body.find(f"{_M}Ids")
    ids = timezones.WINDOWS_IDS if wanted is None else [one.text or "" for one in wanted]
    full = (body.get("ReturnFullTimeZoneData") or "true").strip() in ("true", "1")
    known = "".join(timezones.definition(one, full) for one in ids if one in timezones.WINDOWS_IDS)
    return f"<m:TimeZoneDefinitions>{known}</m:TimeZoneDefinitions>"


def _resolve_names(call: Call, body: etree._Element) -> str:
    entry = (body.findtext(f"{_M}UnresolvedEntry") or "").strip()
    mailbox = call.caller.state.mailbox("ews", entry.lower().removeprefix("smtp:"))
    if mailbox is None:
        raise ResponseError("ErrorNameResolutionNoResults", "No results were found.")
    return (
        '<m:ResolutionSet TotalItemsInView="1" IncludesLastItemInRange="true"><t:Resolution><t:Mailbox>'
        f"<t:Name>{escape(mailbox.address.partition('@')[0])}</t:Name>"
        f"<t:EmailAddress>{escape(mailbox.address)}</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType>"
        "<t:MailboxType>Mailbox</t:MailboxType></t:Mailbox></t:Resolution></m:ResolutionSet>"
    )


def _convert_id(call: Call, element: etree._Element) -> str:
    wanted, given = call.body.get("DestinationFormat"), element.get("Format")
    if wanted != given or given not in ("EwsId", "EwsLegacyId"):
        raise ResponseError("ErrorUnsupportedTypeForConversion", "The sandbox knows EWS ids and no others.")
    identifier = element.get("Id") or ""
    identifiers.read_item_id(identifier)
    return (
        f'<m:AlternateId xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="t:AlternateIdType"'
        f' Format="{given}" Id={attribute(identifier)} Mailbox={attribute(element.get("Mailbox") or "")}/>'
    )


_Handler = Callable[[Call, etree._Element], str]


def _asking(handle: Callable[[Caller, etree._Element, etree._Element], str]) -> _Handler:
    """The handler of an operation that is about no calendar items."""
    return lambda call, element: handle(call.caller, call.body, element)


_HANDLERS: dict[str, tuple[_Handler, str]] = {
    "CreateItem": (_create, _EMPTY_ITEMS),
    "UpdateItem": (_update, _EMPTY_ITEMS),
    "DeleteItem": (_delete, ""),
    "GetItem": (_get, _EMPTY_ITEMS),
    "CopyItem": (_copy, _EMPTY_ITEMS),
    "MoveItem": (_move, _EMPTY_ITEMS),
    "FindItem": (_asking(find_in_folder), ""),
    "SyncFolderItems": (_asking(sync_items), _NO_STATE.format("Item")),
    "GetFolder": (_asking(folders.get), "<m:Folders/>"),
    "FindFolder": (_asking(folders.root_folder), ""),
    "CreateFolder": (_asking(folders.create), "<m:Folders/>"),
    "UpdateFolder": (_asking(folders.update), "<m:Folders/>"),
    "DeleteFolder": (_asking(folders.delete), ""),
    "SyncFolderHierarchy": (_asking(folders.sync), _NO_STATE.format("Folder")),
    "GetUserConfiguration": (_asking(configurations.get), ""),
    "CreateUserConfiguration": (_asking(configurations.create), ""),
    "UpdateUserConfiguration": (_asking(configurations.update), ""),
    "DeleteUserConfiguration": (_asking(configurations.delete), ""),
    "GetServerTimeZones": (_time_zones, "<m:TimeZoneDefinitions/>"),
    "ResolveNames": (_resolve_names, ""),
    "ConvertId": (_convert_id, ""),
}
"""Each operation, and what its response messages hold even after an error."""
