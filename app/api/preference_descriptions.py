"""``/api/v1/preference-descriptions``: which preferences there are, and what their values may be."""

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Annotated, Any, TypeAlias

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, PathParameter

from app.api.auth import admin_only
from app.api.dependencies import InjectedClock, InjectedPool
from app.api.languages import best_language, languages
from app.api.media_types import media_type
from app.api.openapi import problems
from app.api.preference_schemas import CreateOperation, PatchOperation
from app.api.select import Select, Selection
from app.preferences import descriptions
from app.preferences.descriptions import Preconditions, Stored
from app.preferences.document import FALLBACK, PreferenceDescription
from app.preferences.patch import JSON, MEDIA_TYPES, decode, read_patch
from app.preferences.reading import read_document
from app.timetables.etag import etag, expected_revisions, matches

__all__ = ["preference_description_handlers"]

TAGS = ["Preferences"]
PATH = "/preference-descriptions"
MAX_BODY = 256 * 1024
"""Bytes of a description or a patch."""

DescriptionId: TypeAlias = Annotated[int, PathParameter(description="The description's `prefDescId`.")]
AcceptLanguage: TypeAlias = Annotated[
    str | None,
    HeaderParameter(
        name="Accept-Language",
        description="Answer `name` and `description` as texts, in the language that is read best of those"
        " that there are; in English where there is none. Without this header, or with `*`, they are"
        " objects with all languages, as POST and PATCH take them.",
    ),
]
IfMatch: TypeAlias = Annotated[
    str | None,
    HeaderParameter(name="If-Match", description="Only if this ETag is still its own; otherwise 412."),
]
IfUnmodifiedSince: TypeAlias = Annotated[
    str | None,
    HeaderParameter(
        name="If-Unmodified-Since",
        description="Only if it has not changed since this date, its `Last-Modified`; otherwise 412. As RFC"
        " 9110 has it, it does not count beside If-Match, nor if it is no date.",
    ),
]
IfNoneMatch: TypeAlias = Annotated[
    str | None,
    HeaderParameter(name="If-None-Match", description="Answer 304 if it still has this ETag."),
]

VALIDATORS = [
    ResponseHeader(
        name="ETag", description="Its revision, for If-Match.", value='"7"', documentation_only=True
    ),
    ResponseHeader(
        name="Last-Modified",
        description="When it changed last, for If-Unmodified-Since. No two revisions have the same date: of"
        " two changes within one second, the later one has the date of the next second.",
        value="Tue, 01 Sep 2026 08:00:00 GMT",
        documentation_only=True,
    ),
]


class LocalizedDescription(PreferenceDescription, frozen=True, kw_only=True):
    """A description of a preference, in the language that Accept-Language asks for."""

    name: str  # type: ignore[assignment]  # it is given out only, never in the place of the other one
    description: str  # type: ignore[assignment]


class PreferenceDescriptions(msgspec.Struct, frozen=True, rename="camel"):
    """All descriptions of preferences, by section and in the order of showing."""

    preference_descriptions: list[PreferenceDescription]


class LocalizedDescriptions(msgspec.Struct, frozen=True, rename="camel"):
    """All of them, in the language that Accept-Language asks for."""

    preference_descriptions: list[LocalizedDescription]


@get(
    PATH,
    tags=TAGS,
    summary="All preferences that there are",
    description="By section, in the order of showing (`rank`).",
    responses=problems(),
)
async def list_descriptions(
    pool: InjectedPool, accept_language: AcceptLanguage = None, select: Select = None
) -> Response[PreferenceDescriptions | LocalizedDescriptions]:
    selection = Selection(PreferenceDescriptions, select, "preferenceDescriptions")
    found = await descriptions.all_descriptions(pool)
    headers = {"Vary": "Accept-Language"}
    if not (preferred := languages(accept_language)):
        return selection.of(PreferenceDescriptions(found), headers)
    localized = [_localized(description, preferred) for description in found]
    return selection.of(LocalizedDescriptions(localized), headers)


@get(
    f"{PATH}/{{id:int}}",
    tags=TAGS,
    summary="One preference: what it is called, and what its values may be",
    responses={304: ResponseSpec(None, description="It still has the ETag in If-None-Match.")}
    | problems(404),
    response_headers=VALIDATORS,
)
async def get_description(
    id: DescriptionId,
    pool: InjectedPool,
    accept_language: AcceptLanguage = None,
    if_none_match: IfNoneMatch = None,
    select: Select = None,
) -> Response[PreferenceDescription | LocalizedDescription]:
    selection = Selection(PreferenceDescription, select)
    stored = await descriptions.find(pool, id)
    preferred = languages(accept_language)
    representation = ".".join(_chosen(stored.description, preferred)) if preferred else ""
    headers = {**_validators(stored, representation), "Vary": "Accept-Language"}
    if matches(if_none_match, headers["ETag"]):
        unchanged: Response[Any] = Response(None, status_code=304, headers=headers)
        return unchanged
    if preferred:
        return selection.of(_localized(stored.description, preferred), headers)
    return selection.of(stored.description, headers)


@post(
    PATH,
    guards=[admin_only],
    tags=TAGS,
    summary="Add a preference",
    description="One of the installation's own, which frontends can set and show: the push obeys those alone"
    " that are built in. Languages are BCP 47 tags; English is needed.",
    operation_class=CreateOperation,
    request_max_body_size=MAX_BODY,
    responses=problems(409, 413, 415, 422),
    response_headers=[
        *VALIDATORS,
        ResponseHeader(
            name="Location",
            description="The description.",
            value="/api/v1/preference-descriptions/1",
            documentation_only=True,
        ),
    ],
)
async def create_description(
    request: Request[Any, Any, Any], pool: InjectedPool, clock: InjectedClock
) -> Response[PreferenceDescription]:
    media_type(request, JSON)
    document = read_document(decode(await request.body()))
    stored = await descriptions.create(pool, document, clock())
    location = f"/api/v1{PATH}/{stored.description.pref_desc_id}"
    return Response(
        stored.description, status_code=201, headers={**_validators(stored), "Location": location}
    )


@patch(
    f"{PATH}/{{id:int}}",
    guards=[admin_only],
    tags=TAGS,
    summary="Change a preference",
    description="By JSON Patch (RFC 6902; add, replace, remove and test), or by JSON Merge Patch (RFC 7396);"
    " as `application/json`, an array is the former and an object the latter. Names of properties may be in"
    " upper or lower case, and a path needs no leading slash. It is applied to the description with all"
    " languages, whatever Accept-Language says, and so is the answer. A property that is removed is set back"
    " to what it is by default.\n\n"
    "All or nothing: 409 if a `test` fails or the section and key are taken, 422 with the field for what a"
    " description may not be. Of a preference that is built in, only name, description, minLevel, maxLevel,"
    " subGroup, rank and default can be changed. 422 also where values are set that it would not allow any"
    " more: change or remove them first. Where levels are narrowed instead, the values that are set beyond"
    " them stay, and do not count; they count again when the levels are widened.",
    operation_class=PatchOperation,
    request_max_body_size=MAX_BODY,
    responses=problems(404, 409, 412, 413, 415, 422),
    response_headers=VALIDATORS,
)
async def patch_description(
    request: Request[Any, Any, Any],
    id: DescriptionId,
    pool: InjectedPool,
    clock: InjectedClock,
    if_match: IfMatch = None,
    if_unmodified_since: IfUnmodifiedSince = None,
    select: Select = None,
) -> Response[PreferenceDescription]:
    selection = Selection(PreferenceDescription, select)
    body_type = media_type(request, *MEDIA_TYPES, headers={"Accept-Patch": ", ".join(MEDIA_TYPES)})
    change = read_patch(await request.body(), body_type)
    preconditions = _preconditions(if_match, if_unmodified_since)
    stored = await descriptions.change(pool, id, change, clock(), preconditions)
    return selection.of(stored.description, _validators(stored))


@delete(
    f"{PATH}/{{id:int}}",
    guards=[admin_only],
    tags=TAGS,
    summary="Delete a preference, with all values of it",
    description="The values that are set of it go too, at every level. Those that are built in cannot be"
    " deleted (409).",
    responses=problems(404, 409, 412),
)
async def delete_description(
    id: DescriptionId,
    pool: InjectedPool,
    if_match: IfMatch = None,
    if_unmodified_since: IfUnmodifiedSince = None,
) -> None:
    await descriptions.delete(pool, id, _preconditions(if_match, if_unmodified_since))


def _chosen(description: PreferenceDescription, preferred: list[str]) -> tuple[str, str]:
    """The languages of its name and of its description."""
    return (
        best_language(preferred, description.name, FALLBACK),
        best_language(preferred, description.description, FALLBACK),
    )


def _localized(description: PreferenceDescription, preferred: list[str]) -> LocalizedDescription:
    of_name, of_description = _chosen(description, preferred)
    texts = {
        "name": description.name[of_name],
        "description": description.description.get(of_description, ""),  # there need not be one
    }
    return LocalizedDescription(**(msgspec.structs.asdict(description) | texts))


def _validators(stored: Stored, representation: str = "") -> dict[str, str]:
    return {
        "ETag": etag(stored.revision, representation),
        "Last-Modified": format_datetime(stored.changed_at, usegmt=True),
    }


def _preconditions(if_match: str | None, if_unmodified_since: str | None) -> Preconditions:
    return Preconditions(expected_revisions(if_match), _date(if_unmodified_since))


def _date(header: str | None) -> datetime | None:
    """An HTTP date. What is none counts as if it were not there (RFC 9110 section 13.1.4)."""
    try:
        date = parsedate_to_datetime(header) if header else None
    except ValueError:
        return None
    # The form of asctime names no zone: all of HTTP's dates are in UTC.
    return date.replace(tzinfo=UTC) if date and date.tzinfo is None else date


preference_description_handlers = [
    list_descriptions,
    get_description,
    create_description,
    patch_description,
    delete_description,
]
