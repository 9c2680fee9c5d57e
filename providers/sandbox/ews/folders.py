"""What is done to folders, and how they look in answers ([MS-OXWSFOLD], SyncFolderHierarchy)."""

import base64
import binascii
import json

from lxml import etree

from providers.sandbox.ews import hierarchy, identifiers, items
from providers.sandbox.ews.access import Caller
from providers.sandbox.ews.hierarchy import FOLDERS, Folder
from providers.sandbox.ews.paths import path_of
from providers.sandbox.ews.soap import MESSAGES, TYPES, ResponseError, escape, local
from providers.sandbox.state import SandboxMailbox

__all__ = ["create", "delete", "folder_xml", "get", "root_folder", "sync", "update"]

_T, _M = f"{{{TYPES}}}", f"{{{MESSAGES}}}"
_DEFAULT = {"folder:FolderId", "folder:DisplayName", "folder:TotalCount", "folder:ChildFolderCount"}
_ALL = _DEFAULT | {
    "folder:ParentFolderId",
    "folder:FolderClass",
    "folder:EffectiveRights",
    "folder:DistinguishedFolderId",
    "folder:UnreadCount",
}
_RIGHTS = "".join(
    f"<t:{name}>{'false' if name == 'CreateAssociated' else 'true'}</t:{name}>"
    for name in ("CreateAssociated", "CreateContents", "CreateHierarchy", "Delete", "Modify", "Read")
)


def _id(tag: str, mailbox: SandboxMailbox, folder: Folder | None) -> str:
    if folder is None:
        return ""
    identifier = folder.id(mailbox)
    return f'<t:{tag} Id="{identifier}" ChangeKey="{identifiers.change_key(identifier, folder.change)}"/>'


def folder_xml(mailbox: SandboxMailbox, folder: Folder, shape: etree._Element) -> str:
    """The element of a folder with what its FolderShape asks for, in the order of the schema."""
    wanted = {"IdOnly": {"folder:FolderId"}, "Default": _DEFAULT, "AllProperties": _ALL}[
        shape.findtext(f"{_T}BaseShape") or "IdOnly"
    ]
    wanted = wanted | {str(path.get("FieldURI")) for path in shape.iter(f"{_T}FieldURI")}
    count = sum(native["folder"] == folder.name for native in mailbox.events.values())
    child_count = sum(1 for _ in hierarchy.children(mailbox, folder, deep=False))
    parts = {
        "folder:FolderId": _id("FolderId", mailbox, folder),
        "folder:ParentFolderId": _id(
            "ParentFolderId", mailbox, hierarchy.find_folder(mailbox, folder.parent)
        ),
        "folder:FolderClass": f"<t:FolderClass>{folder.folder_class}</t:FolderClass>"
        if folder.folder_class
        else "",
        "folder:DisplayName": f"<t:DisplayName>{escape(folder.display)}</t:DisplayName>",
        "folder:TotalCount": f"<t:TotalCount>{count}</t:TotalCount>",
        "folder:ChildFolderCount": f"<t:ChildFolderCount>{child_count}</t:ChildFolderCount>",
        "": _extended(folder, shape),
        "folder:EffectiveRights": f"<t:EffectiveRights>{_RIGHTS}</t:EffectiveRights>",
        "folder:DistinguishedFolderId": f"<t:DistinguishedFolderId>{folder.name}</t:DistinguishedFolderId>"
        if folder.distinguished
        else "",
        "folder:UnreadCount": "<t:UnreadCount>0</t:UnreadCount>"
        if folder.element in ("Folder", "TasksFolder")
        else "",
    }
    content = "".join(xml for uri, xml in parts.items() if not uri or uri in wanted)
    return f"<t:{folder.element}>{content}</t:{folder.element}>"


def _extended(folder: Folder, shape: etree._Element) -> str:
    parts = []
    for path in map(path_of, shape.iter(f"{_T}ExtendedFieldURI")):
        value = folder.extended.get(path)
        if isinstance(value, str):
            value_xml = f"<t:Value>{escape(value)}</t:Value>"
        elif value is not None:
            value_xml = (
                f"<t:Values>{''.join(f'<t:Value>{escape(one)}</t:Value>' for one in value)}</t:Values>"
            )
        else:
            continue
        parts.append(f"<t:ExtendedProperty>{path}{value_xml}</t:ExtendedProperty>")
    return "".join(parts)


def get(caller: Caller, body: etree._Element, folder_id: etree._Element) -> str:
    """The Folders of a GetFolder for one of its ids. Raises ``ResponseError``."""
    mailbox, folder = caller.folder(folder_id)
    shape = body.find(f"{_M}FolderShape")
    assert shape is not None
    return f"<m:Folders>{folder_xml(mailbox, folder, shape)}</m:Folders>"


def root_folder(caller: Caller, body: etree._Element, folder_id: etree._Element) -> str:
    """The RootFolder of a FindFolder for one of its parents. Raises ``ResponseError``."""
    mailbox, folder = caller.folder(folder_id)
    shape = body.find(f"{_M}FolderShape")
    assert shape is not None
    if body.find(f"{_M}Restriction") is not None:
        raise ResponseError("ErrorInvalidOperation", "The sandbox does not know restrictions on folders.")
    traversal = body.get("Traversal")
    found = (
        []
        if traversal == "SoftDeleted"
        else list(hierarchy.children(mailbox, folder, deep=traversal == "Deep"))
    )
    view = body.find(f"{_M}IndexedPageFolderView")
    offset = int(str(view.get("Offset"))) if view is not None else 0
    limit = int(view.get("MaxEntriesReturned") or len(found)) if view is not None else len(found)
    chosen = found[offset : offset + limit]
    last = "true" if offset + limit >= len(found) else "false"
    return (
        f'<m:RootFolder IndexedPagingOffset="{offset + len(chosen)}" TotalItemsInView="{len(found)}"'
        f' IncludesLastItemInRange="{last}">'
        f"<t:Folders>{''.join(folder_xml(mailbox, one, shape) for one in chosen)}</t:Folders></m:RootFolder>"
    )


def create(caller: Caller, body: etree._Element, element: etree._Element) -> str:
    """CreateFolder of one folder: its id. Raises ``ResponseError``."""
    parent_id = body.find(f"{_M}ParentFolderId")
    assert parent_id is not None
    mailbox, parent = caller.folder(parent_id[0])
    folder_class = element.findtext(f"{_T}FolderClass")
    if element.tag == f"{_T}CalendarFolder" and folder_class not in (None, "IPF.Appointment"):
        raise ResponseError("ErrorNoFolderClassOverride", "The folder class of a calendar is given.")
    if element.tag != f"{_T}CalendarFolder" and folder_class != "IPF.Appointment":
        raise ResponseError("ErrorInvalidOperation", "The sandbox keeps calendars that are made, no others.")
    calendar = hierarchy.add_calendar(
        mailbox,
        element.findtext(f"{_T}DisplayName") or "",
        parent=parent,
        extended=dict(_property(one) for one in element.iterfind(f"{_T}ExtendedProperty")),
    )
    return _ids(mailbox, identifiers.read_folder_id(calendar.id)[1])


def update(caller: Caller, body: etree._Element, element: etree._Element) -> str:
    """UpdateFolder of one folder, its name and extended properties. Raises ``ResponseError``."""
    mailbox, folder = caller.folder(element[0])
    if folder.distinguished:
        raise ResponseError("ErrorInvalidOperation", "The sandbox does not change the folders of a mailbox.")
    for change in element[1]:
        if local(change) != "SetFolderField":
            raise ResponseError("ErrorInvalidOperation", "The sandbox sets fields of calendars, no more.")
        if len(change[1]) != 1:
            raise ResponseError("ErrorIncorrectUpdatePropertyCount", "A change holds exactly one property.")
        value = change[1][0]
        if path_of(change[0]) == "folder:DisplayName":
            hierarchy.rename(mailbox, folder, value.text or "")
        elif local(value) == "ExtendedProperty":
            key, content = _property(value)
            mailbox.calendars[folder.id(mailbox)].native["extended"][key] = content
        else:
            raise ResponseError("ErrorInvalidPropertySet", "Set action is invalid for property.")
    mailbox.calendars[folder.id(mailbox)].native["change"] = mailbox.next_serial()
    return _ids(mailbox, folder.name)


def delete(caller: Caller, body: etree._Element, folder_id: etree._Element) -> str:
    """DeleteFolder of one folder, with all that is in it. Raises ``ResponseError``."""
    mailbox, folder = caller.folder(folder_id)
    if folder.distinguished:
        raise ResponseError("ErrorDeleteDistinguishedFolder", "Distinguished folders cannot be deleted.")
    if body.get("DeleteType") == "MoveToDeletedItems" and folder.parent != "deleteditems":
        native = mailbox.calendars[folder.id(mailbox)].native
        native["parent"], native["change"] = "deleteditems", mailbox.next_serial()
    else:
        _remove(mailbox, folder)
    return ""


def _remove(mailbox: SandboxMailbox, folder: Folder) -> None:
    for child in list(hierarchy.children(mailbox, folder, deep=False)):
        _remove(mailbox, child)
    for native in [one for one in mailbox.events.values() if one["folder"] == folder.name]:
        items.remove_item(mailbox, native)
    del mailbox.calendars[folder.id(mailbox)]
    mailbox.next_serial()


def _ids(mailbox: SandboxMailbox, name: str) -> str:
    folder = hierarchy.find_folder(mailbox, name)
    return f"<m:Folders><t:CalendarFolder>{_id('FolderId', mailbox, folder)}</t:CalendarFolder></m:Folders>"


def _property(element: etree._Element) -> tuple[str, str | list[str]]:
    value = element[1]
    text = value.text or ""
    return path_of(element[0]), text if local(value) == "Value" else [one.text or "" for one in value]


def sync(caller: Caller, body: etree._Element, element: etree._Element) -> str:
    """SyncFolderHierarchy: the folders that came, changed or went since a state. Raises ``ResponseError``."""
    target = body.find(f"{_M}SyncFolderId")
    mailbox, top = (caller.own(), FOLDERS["root"]) if target is None else caller.folder(target[0])
    shape = body.find(f"{_M}FolderShape")
    assert shape is not None
    known = _read_state(body.findtext(f"{_M}SyncState"))
    now = {folder.id(mailbox): folder for folder in hierarchy.children(mailbox, top, deep=True)}
    changes = []
    for identifier, folder in now.items():
        if known.get(identifier) != _version(folder):
            kind = "Update" if identifier in known else "Create"
            changes.append(f"<t:{kind}>{folder_xml(mailbox, folder, shape)}</t:{kind}>")
    changes += [
        f'<t:Delete><t:FolderId Id="{identifier}"/></t:Delete>' for identifier in known.keys() - now.keys()
    ]
    state = base64.b64encode(json.dumps({one: _version(folder) for one, folder in now.items()}).encode())
    return (
        f"<m:SyncState>{state.decode()}</m:SyncState>"
        "<m:IncludesLastFolderInRange>true</m:IncludesLastFolderInRange>"
        f"<m:Changes>{''.join(changes)}</m:Changes>"
    )


def _version(folder: Folder) -> str:
    return f"{folder.change} {folder.display}"


def _read_state(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    try:
        return dict(json.loads(base64.b64decode(text, validate=True)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise ResponseError("ErrorInvalidSyncStateData", "Synchronization state data is corrupt.") from error
