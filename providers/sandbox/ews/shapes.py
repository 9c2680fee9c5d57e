"""What a request wants to see of each item: ItemShape as a view ([MS-OXWSCDATA] 2.2.4.44)."""

from lxml import etree

from providers.sandbox.ews.paths import path_of
from providers.sandbox.ews.properties import BY_ELEMENT, BY_URI, PROPERTIES, Property, View
from providers.sandbox.ews.soap import TYPES
from providers.sandbox.state import SandboxMailbox

__all__ = ["ID_ONLY", "view"]

_T = f"{{{TYPES}}}"
ID_ONLY = [BY_ELEMENT["ItemId"]]
_ORDER = {prop.element: index for index, prop in enumerate(PROPERTIES)}
_SHAPES = {
    "IdOnly": ID_ONLY,
    "Default": [prop for prop in PROPERTIES if prop.default],
    "AllProperties": [prop for prop in PROPERTIES if prop.kind not in ("absent", "extended")],
}


def view(shape: etree._Element, mailbox: SandboxMailbox, *, find: bool) -> View:
    """The view that an ItemShape asks for. Properties of other kinds of item are left out.

    With ``find`` (FindItem) bodies, attendees and the like are left out as well. Raises
    ``ResponseError`` ErrorInvalidExtendedProperty.
    """
    wanted = list(_SHAPES.get(shape.findtext(f"{_T}BaseShape") or "IdOnly", ID_ONLY))
    extended: list[str] = []
    additional = shape.find(f"{_T}AdditionalProperties")
    if additional is not None:
        wanted += _additional(additional, extended)
        wanted = sorted(set(wanted), key=lambda prop: _ORDER[prop.element])
    if find:
        wanted = [prop for prop in wanted if prop.find]
    return View(
        properties=wanted,
        mailbox=mailbox,
        extended=extended,
        body_type=shape.findtext(f"{_T}BodyType") or "Best",
        find=find,
    )


def _additional(paths: etree._Element, extended: list[str]) -> list[Property]:
    found = []
    for path in paths:
        key = path_of(path)
        if path.tag == f"{_T}ExtendedFieldURI":
            if key not in extended:
                extended.append(key)
        elif (prop := BY_URI.get(key)) is not None and prop.kind != "absent":
            found.append(prop)
    if extended:
        found.append(BY_ELEMENT["ExtendedProperty"])
    return found
