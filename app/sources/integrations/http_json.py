"""Any REST API that answers with JSON: where its resources are, how they are paged, and what becomes what.

All of it is declared in the account's ``settings``, with JMESPath (https://jmespath.org) for places in the
JSON::

    {
      "zone": "Europe/Amsterdam",
      "resources": {
        "staff": {"path": "/people?kind=staff", "records": "data", "pagination": {"by": "link"}},
        "lectures": {
          "path": "/people/{id}/lectures",
          "records": "data.items",
          "pagination": {"by": "page", "parameter": "page", "total": "data.count"},
          "event": {"uid": "key", "title": "name", "start": "from", "end": "to", "location": "room.name"}
        }
      }
    }

Without ``username``, the ``id`` of the request is the user whose timetable it is.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
from yarl import URL

from app.errors import Problem
from app.provisioning.text import is_username
from app.sources.client import Client
from app.sources.contract import (
    Account,
    Context,
    Integration,
    Json,
    Page,
    ReadFailed,
    Record,
    RecordError,
    ResourceRequest,
)
from app.sources.fetch import Request
from app.sources.integrations.checks import (
    authorization,
    check_credentials,
    check_id,
    check_query,
    check_settings,
    check_username,
    in_path,
    settings_of,
    username_of,
    username_only,
)
from app.sources.integrations.declared import ID, HttpJsonSettings, Resource, document, find, text_of
from app.sources.integrations.listing import Listing
from app.sources.integrations.mapping import Unmappable, reader, to_event
from app.sources.integrations.paging import Pages, with_query
from app.sources.slices import unhurried
from app.timetables.document import Reader

__all__ = ["HttpJson"]


class HttpJson(Integration):
    """The account's own resources: ``list`` reads an array in pages, ``get`` one object.

    Credentials: ``token`` (bearer), or ``user`` and ``password`` (basic), or ``api_key``, which is sent in
    the header that the settings' ``api_key_header`` names, or as the parameter of the query that their
    ``api_key_parameter`` names.
    """

    name = "http-json"

    def __init__(self, client: Client, max_pages: int, max_records: int) -> None:
        self._client = client
        self._max_pages = max_pages
        self._max_records = max_records

    def check_account(self, account: Account) -> Sequence[Problem]:
        known = check_credentials(account, optional=["token", "user", "password", "api_key"])
        return [*check_settings(account, HttpJsonSettings), *known]

    def check_resource(
        self, request: ResourceRequest, settings: Mapping[str, Json] | None
    ) -> Sequence[Problem]:
        problems = check_query(request)
        if request.method not in ("list", "get"):
            detail = "Expected list (an array, in pages) or get (one object)."
            problems.append(Problem(field="method", detail=detail))
        if settings is None:
            return problems
        try:
            declared = msgspec.convert(settings, HttpJsonSettings).resources
        except msgspec.ValidationError as error:  # those of an earlier version, say
            problems.append(Problem(field="resource", detail=f"The account's settings are wrong: {error}."))
            return problems
        resource = declared.get(request.resource)
        if resource is None:
            problems.append(Problem(field="resource", detail=_undeclared(request.resource, declared)))
        elif resource.event and not resource.username:
            problems += check_username(request)
        elif ID in resource.path:
            problems += check_id(request)
        return problems

    def users(self, request: ResourceRequest, account: Account) -> Sequence[str] | None:
        resource = _resource(request, account)[1]
        return username_only(request) if resource.event and not resource.username else None

    async def records(
        self, request: ResourceRequest, account: Account, context: Context
    ) -> AsyncIterator[Page]:
        settings, resource = _resource(request, account)
        if resource.event and not resource.username:
            username_of(request)
        events = reader(context, settings.zone)
        credentials = authorization(account)
        parameters: dict[str, str] = {}
        if api_key := account.credentials.get("api_key"):
            if settings.api_key_parameter is None:
                credentials[settings.api_key_header] = api_key
            else:
                parameters[settings.api_key_parameter] = api_key
        first_url = _address(request, resource, account)
        pages = Pages(first_url, self._max_pages, self._max_records)
        listing = Listing(resource, request.method, first_url, pages)
        while listing.url is not None:
            answer = await self._client.get(
                Request(
                    url=listing.url,
                    headers={"Accept": "application/json"},
                    credentials=credentials,
                    parameters=parameters,
                ),
                context,
            )
            found = listing.take(answer)
            yield await _page(found, listing.number, resource, request, events)


def _resource(request: ResourceRequest, account: Account) -> tuple[HttpJsonSettings, Resource]:
    settings = settings_of(account, HttpJsonSettings)
    resource = settings.resources.get(request.resource)
    if resource is None:
        raise ReadFailed(_undeclared(request.resource, settings.resources))
    return settings, resource


def _undeclared(resource: str, declared: Mapping[str, Resource]) -> str:
    known = ", ".join(sorted(declared))
    return f"The account's settings declare no resource {resource}; they do: {known}."


def _address(request: ResourceRequest, resource: Resource, account: Account) -> str:
    """The URL of the first page."""
    path = resource.path
    if ID in path:
        path = path.replace(ID, in_path(request.id))
    paging = resource.pagination
    query = dict(request.query)
    if request.method == "list" and paging.size is not None and paging.size_parameter:
        query.setdefault(paging.size_parameter, paging.size)
    if request.method == "list" and paging.by == "page":
        query[paging.parameter] = paging.first
    return with_query(str(URL(account.base_url.rstrip("/") + path)), query)


async def _page(
    found: Sequence[Json], number: int, resource: Resource, request: ResourceRequest, events: Reader
) -> Page:
    records, errors = [], []
    async for position, data in unhurried(enumerate(found, 1)):
        place = f"page {number}, record {position}"
        username = None
        try:
            if not isinstance(data, dict):
                raise Unmappable("Not an object.")
            if resource.skip and find(resource.skip, data):
                continue
            if resource.event is None:
                records.append(Record(id=text_of(resource.id, data, "id"), place=place, data=data))
                continue
            named = resource.username
            username = text_of(named, data, "username") if named else username_of(request)
            if not is_username(username):
                username = None
                raise Unmappable("username: Too long, or with a control character in it.")
            event = to_event(document(data, resource.event, resource.times, events.zone), events)
        except Unmappable as error:
            errors.append(RecordError(place=place, detail=str(error), username=username))
        else:
            records.append(Record(id=event.uid, place=place, data=data, username=username, event=event))
    return Page(records=records, errors=errors)
