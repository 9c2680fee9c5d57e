"""How requests name properties: by URI, or as an extended property ([MS-OXWSXPROP])."""

from collections.abc import Mapping
from functools import lru_cache

from lxml import etree

from providers.sandbox.ews.soap import TYPES, ResponseError, attribute

__all__ = ["extended_path", "is_number", "is_number_text", "path_of"]

_T = f"{{{TYPES}}}"


def extended_path(attributes: Mapping[str, str]) -> str:
    """The canonical XML of an extended property's path.

    Raises ``ResponseError`` ErrorInvalidExtendedProperty unless the attributes are one of the allowed
    combinations ([MS-OXWSXPROP] 2.1.5): a tag; or a set with a name or an id.
    """
    return _extended_path(tuple(attributes.items()))


@lru_cache(maxsize=1000)
def _extended_path(attributes: tuple[tuple[str, str], ...]) -> str:
    given = {name: value for name, value in attributes if not name.startswith("{")}
    sets = [name for name in ("DistinguishedPropertySetId", "PropertySetId") if name in given]
    names = [name for name in ("PropertyName", "PropertyId") if name in given]
    tag = "PropertyTag" in given
    if (tag and (sets or names)) or (not tag and (len(sets) != 1 or len(names) != 1)):
        raise ResponseError(
            "ErrorInvalidExtendedProperty",
            "An extended property is named by a PropertyTag, or by a property set with a name or an id.",
        )
    if "PropertySetId" in given:
        given["PropertySetId"] = given["PropertySetId"].lower()
    if tag:
        text = given["PropertyTag"]
        given["PropertyTag"] = hex(int(text, 16 if text[:2].lower() == "0x" else 10))
    order = (
        "DistinguishedPropertySetId", "PropertySetId", "PropertyTag", "PropertyName", "PropertyId",
        "PropertyType",
    )  # fmt: skip
    text = " ".join(f"{name}={attribute(given[name])}" for name in order if name in given)
    return f"<t:ExtendedFieldURI {text}/>"


def is_number(path: str) -> bool:
    """Whether an extended property, by the XML of its path, holds numbers."""
    return any(f'PropertyType="{kind}' in path for kind in ("Integer", "Long", "Short", "Float", "Double"))


def is_number_text(text: str) -> bool:
    """Whether a value can be one of such a property."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def path_of(element: etree._Element) -> str:
    """The key of a path element: the URI, or the XML of an extended path."""
    if element.tag == f"{_T}ExtendedFieldURI":
        return extended_path({str(name): str(value) for name, value in element.attrib.items()})
    if element.tag == f"{_T}IndexedFieldURI":
        return f"{element.get('FieldURI')}[{element.get('FieldIndex')}]"
    return str(element.get("FieldURI"))
