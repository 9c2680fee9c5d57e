"""GetFolder, FindFolder and SyncFolderHierarchy: the few folders that every mailbox has."""

from collections.abc import Iterator

from lxml import etree

from providers.sandbox.ews import identifiers
from providers.sandbox.ews.access import FOLDERS, Caller, Folder
from providers.sandbox.ews.soap import MESSAGES, TYPES
from providers.sandbox.state import SandboxMailbox

__all__ = ["children", "folder_xml", "root_folder"]

_T, _M = f"{{{TYPES}}}", f"{{{MESSAGES}}}"
_DEFAULT = {"folder:FolderId", "folder:DisplayName", "folder:TotalCount", "folder:ChildFolderCount"}
_ALL = _DEFAULT | {
    "folder:ParentFolderId",
    "folder:FolderClass",
    "folder:EffectiveRights",
    "folder:DistinguishedFolderId",
    "folder:UnreadCount",
}


def children(folder: Folder, *, deep: bool) -> Iterator[Folder]:
    """The folders in a folder; with ``deep`` also those below them."""
    for child in FOLDERS.values():
        if child.parent == folder.name and child.name != folder.name:
            yield child
            if deep:
                yield from children(child, deep=True)


def _id(tag: str, mailbox: SandboxMailbox, name: str) -> str:
    identifier = identifiers.folder_id(mailbox.address, name)
    return f'<t:{tag} Id="{identifier}" ChangeKey="{identifiers.change_key(identifier, 1)}"/>'


def folder_xml(mailbox: SandboxMailbox, folder: Folder, shape: etree._Element) -> str:
    """The element of a folder with what its FolderShape asks for."""
    wanted = {"IdOnly": {"folder:FolderId"}, "Default": _DEFAULT, "AllProperties": _ALL}[
        shape.findtext(f"{_T}BaseShape") or "IdOnly"
    ]
    wanted = wanted | {str(path.get("FieldURI")) for path in shape.iter(f"{_T}FieldURI")}
    items = sum(native["folder"] == folder.name for native in mailbox.events.values())
    rights = "".join(
        f"<t:{name}>{'false' if name == 'CreateAssociated' else 'true'}</t:{name}>"
        for name in ("CreateAssociated", "CreateContents", "CreateHierarchy", "Delete", "Modify", "Read")
    )
    parts = {
        "folder:FolderId": _id("FolderId", mailbox, folder.name),
        "folder:ParentFolderId": _id("ParentFolderId", mailbox, folder.parent),
        "folder:FolderClass": f"<t:FolderClass>{folder.folder_class}</t:FolderClass>"
        if folder.folder_class
        else "",
        "folder:DisplayName": f"<t:DisplayName>{folder.display}</t:DisplayName>",
        "folder:TotalCount": f"<t:TotalCount>{items}</t:TotalCount>",
        "folder:ChildFolderCount": "<t:ChildFolderCount>"
        f"{sum(1 for _ in children(folder, deep=False))}</t:ChildFolderCount>",
        "folder:EffectiveRights": f"<t:EffectiveRights>{rights}</t:EffectiveRights>",
        "folder:DistinguishedFolderId": f"<t:DistinguishedFolderId>{folder.name}</t:DistinguishedFolderId>",
        "folder:UnreadCount": "<t:UnreadCount>0</t:UnreadCount>"
        if folder.element in ("Folder", "TasksFolder")
        else "",
    }
    content = "".join(xml for uri, xml in parts.items() if uri in wanted)
    return f"<t:{folder.element}>{content}</t:{folder.element}>"


def root_folder(caller: Caller, body: etree._Element, folder_id: etree._Element) -> str:
    """The RootFolder of a FindFolder for one of its parents. Raises ``ResponseError``."""
    mailbox, folder = caller.folder(folder_id)
    shape = body.find(f"{_M}FolderShape")
    assert shape is not None
    traversal = body.get("Traversal")
    found = [] if traversal == "SoftDeleted" else list(children(folder, deep=traversal == "Deep"))
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
