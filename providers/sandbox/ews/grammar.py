"""The structure of requests: which element may hold which, in which order, with which attributes.

Exchange checks every request against its schema before anything else. This is the part of that schema
that calendars need, written as regular expressions over the names of an element's children. Direct
children of the request are in the namespace of messages, everything below in that of types.
"""

import re
from typing import Final

import msgspec
from lxml import etree

from providers.sandbox.ews.properties import BY_URI, PROPERTIES
from providers.sandbox.ews.soap import MESSAGES, TYPES, SoapFault, line_of, local

__all__ = ["OPERATIONS", "check_header", "check_request"]

OPERATIONS = (
    "ConvertId", "CopyItem", "CreateItem", "DeleteItem", "FindFolder", "FindItem", "GetFolder", "GetItem",
    "GetServerTimeZones", "MoveItem", "ResolveNames", "SyncFolderHierarchy", "UpdateItem",
)  # fmt: skip

_DATETIME = r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"
_TEXTS: Final = {
    "any": None,
    "nonempty": re.compile(r".+", re.DOTALL),
    "bool": re.compile(r"\s*(true|false|1|0)\s*"),
    "int": re.compile(r"\s*[+-]?\d{1,10}\s*"),
    "datetime": re.compile(rf"\s*{_DATETIME}\s*"),
    "guid": re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "tag": re.compile(r"(0x|0X)[0-9A-Fa-f]{1,4}|\d{1,5}"),
    "uri": re.compile(r"[A-Za-z]+:[A-Za-z0-9:]+"),
    "bitmask": re.compile(r"0[xX][0-9A-Fa-f]+|[0-9]+"),
    "shape": re.compile("IdOnly|Default|AllProperties|PcxPeopleSearch"),
    "bodytype": re.compile("HTML|Text"),
    "responsebody": re.compile("Best|HTML|Text"),
    "order": re.compile("Ascending|Descending"),
    "basepoint": re.compile("Beginning|End"),
    "traversal": re.compile("Shallow|SoftDeleted|Associated"),
    "foldertraversal": re.compile("Shallow|Deep|SoftDeleted"),
    "conflict": re.compile("NeverOverwrite|AutoResolve|AlwaysOverwrite"),
    "disposal": re.compile("HardDelete|SoftDelete|MoveToDeletedItems"),
    "disposition": re.compile("SaveOnly|SendOnly|SendAndSaveCopy"),
    "invitations": re.compile("SendToNone|SendOnlyToAll|SendToAllAndSaveCopy"),
    "updates": re.compile(
        "SendToNone|SendOnlyToAll|SendOnlyToChanged|SendToAllAndSaveCopy|SendToChangedAndSaveCopy"
    ),
    "taskoccurrences": re.compile("AllOccurrences|SpecifiedOccurrenceOnly"),
    "scope": re.compile("ActiveDirectory|ActiveDirectoryContacts|Contacts|ContactsActiveDirectory"),
    "idformat": re.compile("EwsLegacyId|EwsId|EntryId|HexEntryId|StoreId|OwaId"),
    "syncscope": re.compile("NormalItems|NormalAndAssociatedItems"),
    "containment": re.compile("FullString|Prefixed|Substring|PrefixOnWords|ExactPhrase"),
    "comparison": re.compile(
        "Exact|IgnoreCase|IgnoreNonSpacingCharacters|Loose|IgnoreCaseAndNonSpacingCharacters"
        "|LooseAndIgnoreCase|LooseAndIgnoreNonSpace|LooseAndIgnoreCaseAndIgnoreNonSpace"
    ),
    "propertyset": re.compile(
        "Meeting|Appointment|Common|PublicStrings|Address|InternetHeaders|CalendarAssistant"
        "|UnifiedMessaging|Task|Sharing"
    ),
    "propertytype": re.compile(
        "((ApplicationTime|Binary|CLSID|Currency|Double|Float|Integer|Long|Object|Short|SystemTime|String)"
        "(Array)?|Boolean|Error|Null)"
    ),
    "folder": re.compile(
        "calendar|contacts|deleteditems|drafts|inbox|journal|notes|outbox|sentitems|tasks|"
        "msgfolderroot|publicfoldersroot|root|junkemail|searchfolders|voicemail|"
        "recoverableitemsroot|recoverableitemsdeletions|recoverableitemsversions|"
        "recoverableitemspurges|recoverableitemsdiscoveryholds|archiveroot|archivemsgfolderroot|"
        "archivedeleteditems|archiveinbox|archiverecoverableitemsroot|"
        "archiverecoverableitemsdeletions|archiverecoverableitemsversions|"
        "archiverecoverableitemspurges|archiverecoverableitemsdiscoveryholds|syncissues|conflicts|"
        "localfailures|serverfailures|recipientcache|quickcontacts|conversationhistory|"
        "adminauditlogs|todosearch|mycontacts|directory|imcontactlist|peopleconnect|favorites|"
        "mecontact|personmetadata"
    ),
    "version": re.compile(r"Exchange(2007(_SP1)?|2010(_SP[12])?|2013(_SP1)?|2015(_SP1)?|2016)"),
}

# An element: its children (names, with ? * + | and brackets), and its attributes (! is required).
# "=" gives the kind of its text; "..." leaves what is inside to whoever reads it.
_FOLDER_IDS = "(FolderId|DistinguishedFolderId|AddressListId|ConsumerCalendarId)"
_PATH = "(FieldURI|IndexedFieldURI|ExtendedFieldURI)"
_EXPRESSION = (
    "(And|Or|Not|Exists|Contains|Excludes|IsEqualTo|IsNotEqualTo|IsGreaterThan|IsGreaterThanOrEqualTo"
    "|IsLessThan|IsLessThanOrEqualTo)"
)
_TWO = f"{_PATH} FieldURIOrConstant"
_IDS = "(ItemId|OccurrenceItemId|RecurringMasterItemId|RecurringMasterItemIdRanges)+"
_KINDS = (
    "(Item|Message|CalendarItem|Contact|DistributionList|MeetingMessage|MeetingRequest|MeetingResponse"
    "|MeetingCancellation|Task|PostItem|RoleMember|Network|Person)"
)
_SHAPE_REST = (
    "BaseShape IncludeMimeContent? BodyType? UniqueBodyType? NormalizedBodyType? FilterHtmlContent?"
    " ConvertHtmlCodePageToUTF8? InlineImageUrlTemplate? BlockExternalImages? AddBlankTargetToLinks?"
    " MaximumBodySize? AdditionalProperties?"
)
_ZONE = "(Periods TransitionsGroups? Transitions?)? @Id:any @Name:any"
_GRAMMAR = {
    # requests
    "CreateItem": "SavedItemFolderId? Items @MessageDisposition:disposition"
    " @SendMeetingInvitations:invitations",
    "UpdateItem": "SavedItemFolderId? ItemChanges @ConflictResolution!:conflict"
    " @MessageDisposition:disposition @SendMeetingInvitationsOrCancellations:updates"
    " @SuppressReadReceipts:bool",
    "DeleteItem": "ItemIds @DeleteType!:disposal @SendMeetingCancellations:invitations"
    " @AffectedTaskOccurrences:taskoccurrences @SuppressReadReceipts:bool",
    "GetItem": "ItemShape ItemIds",
    "FindItem": "ItemShape (IndexedPageItemView|FractionalPageItemView|SeekToConditionPageItemView"
    "|CalendarView|ContactsView)? (GroupBy|DistinguishedGroupBy)? Restriction? SortOrder?"
    " ParentFolderIds QueryString? @Traversal!:traversal",
    "CopyItem": "ToFolderId ItemIds ReturnNewItemIds?",
    "MoveItem": "ToFolderId ItemIds ReturnNewItemIds?",
    "GetFolder": "FolderShape FolderIds",
    "FindFolder": "FolderShape (IndexedPageFolderView|FractionalPageFolderView)? Restriction?"
    " ParentFolderIds @Traversal!:foldertraversal",
    "SyncFolderHierarchy": "FolderShape SyncFolderId? SyncState?",
    "SyncFolderItems": "ItemShape SyncFolderId SyncState? Ignore? MaxChangesReturned SyncScope?"
    " NumberOfDays? MaximumCount? MinimumCount?",
    "GetServerTimeZones": "Ids? @ReturnFullTimeZoneData:bool",
    "ResolveNames": "ParentFolderIds? UnresolvedEntry @ReturnFullContactData!:bool @SearchScope:scope"
    " @ContactDataShape:shape",
    "ConvertId": "SourceIds @DestinationFormat!:idformat",
    # their direct children
    "ItemShape": _SHAPE_REST,
    "FolderShape": "BaseShape AdditionalProperties?",
    "SavedItemFolderId": _FOLDER_IDS,
    "ToFolderId": _FOLDER_IDS,
    "SyncFolderId": _FOLDER_IDS,
    "FolderIds": f"{_FOLDER_IDS}+",
    "ParentFolderIds": f"{_FOLDER_IDS}+",
    "Items": f"{_KINDS}+",
    "ItemIds": _IDS,
    "Ignore": "ItemId*",
    "ItemChanges": "ItemChange+",
    "IndexedPageItemView": "@MaxEntriesReturned:int @Offset!:int @BasePoint!:basepoint",
    "IndexedPageFolderView": "@MaxEntriesReturned:int @Offset!:int @BasePoint!:basepoint",
    "FractionalPageItemView": "...",
    "FractionalPageFolderView": "...",
    "SeekToConditionPageItemView": "...",
    "ContactsView": "...",
    "GroupBy": "...",
    "DistinguishedGroupBy": "...",
    "CalendarView": "@MaxEntriesReturned:int @StartDate!:datetime @EndDate!:datetime",
    "Restriction": _EXPRESSION,
    "SortOrder": "FieldOrder+",
    "QueryString": "=any @ResetCache:bool @ReturnHighlightTerms:bool @ReturnDeletedItems:bool",
    "SyncState": "=any",
    "MaxChangesReturned": "=int",
    "SyncScope": "=syncscope",
    "NumberOfDays": "=int",
    "MaximumCount": "=int",
    "MinimumCount": "=int",
    "ReturnNewItemIds": "=bool",
    "Ids": "Id+",
    "UnresolvedEntry": "=nonempty",
    "SourceIds": "(AlternateId|AlternatePublicFolderId|AlternatePublicFolderItemId)+",
    # shapes, paths and ids
    "BaseShape": "=shape",
    "IncludeMimeContent": "=bool",
    "BodyType": "=responsebody",
    "UniqueBodyType": "=responsebody",
    "NormalizedBodyType": "=responsebody",
    "FilterHtmlContent": "=bool",
    "ConvertHtmlCodePageToUTF8": "=bool",
    "InlineImageUrlTemplate": "=any",
    "BlockExternalImages": "=bool",
    "AddBlankTargetToLinks": "=bool",
    "MaximumBodySize": "=int",
    "AdditionalProperties": f"{_PATH}+",
    "FieldURI": "@FieldURI!:uri",
    "IndexedFieldURI": "@FieldURI!:any @FieldIndex!:any",
    "ExtendedFieldURI": "@DistinguishedPropertySetId:propertyset @PropertySetId:guid @PropertyTag:tag"
    " @PropertyName:any @PropertyId:int @PropertyType!:propertytype",
    "FolderId": "@Id!:any @ChangeKey:any",
    "DistinguishedFolderId": "Mailbox? @Id!:folder @ChangeKey:any",
    "AddressListId": "@Id!:any",
    "ConsumerCalendarId": "@Id!:any",
    "Mailbox": "Name? EmailAddress? RoutingType? MailboxType? ItemId? OriginalDisplayName?",
    "Name": "=any",
    "EmailAddress": "=nonempty",
    "RoutingType": "=nonempty",
    "MailboxType": "=any",
    "OriginalDisplayName": "=any",
    "ItemId": "@Id!:any @ChangeKey:any",
    "OccurrenceItemId": "...",
    "RecurringMasterItemId": "...",
    "RecurringMasterItemIdRanges": "...",
    "AlternateId": "@Format!:idformat @Id!:any @Mailbox!:nonempty @IsArchive:bool",
    "AlternatePublicFolderId": "...",
    "AlternatePublicFolderItemId": "...",
    "Id": "=any",
    # restrictions and order
    "FieldOrder": f"{_PATH} @Order!:order",
    "And": f"{_EXPRESSION}+",
    "Or": f"{_EXPRESSION}+",
    "Not": _EXPRESSION,
    "Exists": _PATH,
    "Contains": f"{_PATH} Constant @ContainmentMode:containment @ContainmentComparison:comparison",
    "Excludes": f"{_PATH} Bitmask",
    "Bitmask": "@Value!:bitmask",
    **dict.fromkeys(
        (
            "IsEqualTo",
            "IsNotEqualTo",
            "IsGreaterThan",
            "IsGreaterThanOrEqualTo",
            "IsLessThan",
            "IsLessThanOrEqualTo",
        ),
        _TWO,
    ),
    "FieldURIOrConstant": "(FieldURI|IndexedFieldURI|ExtendedFieldURI|Constant)",
    "Constant": "@Value!:any",
    # items and changes
    "ItemChange": "(ItemId|OccurrenceItemId|RecurringMasterItemId) Updates",
    "Updates": "(SetItemField|DeleteItemField|AppendToItemField)+",
    "SetItemField": f"{_PATH} {_KINDS}",
    "AppendToItemField": f"{_PATH} {_KINDS}",
    "DeleteItemField": _PATH,
    "CalendarItem": " ".join(f"{p.element}{'*' if p.kind == 'extended' else '?'}" for p in PROPERTIES),
    "ExtendedProperty": "ExtendedFieldURI (Value|Values)",
    "Value": "=any",
    "Values": "Value+",
    "Body": "=any @BodyType!:bodytype @IsTruncated:bool",
    **dict.fromkeys(("StartTimeZone", "EndTimeZone", "TimeZoneDefinition"), _ZONE),
    **dict.fromkeys(("Periods", "TransitionsGroups", "Transitions"), "..."),
    "String": "=any",
    "Attendee": "Mailbox ResponseType? LastResponseTime? ProposedStart? ProposedEnd?",
    "ResponseType": "=any",
    "LastResponseTime": "=datetime",
    "ProposedStart": "=datetime",
    "ProposedEnd": "=datetime",
    **dict.fromkeys([kind for kind in re.findall(r"\w+", _KINDS) if kind != "CalendarItem"], "..."),
    # headers
    "RequestServerVersion": "@Version!:version",
    "ExchangeImpersonation": "ConnectingSID",
    "ConnectingSID": "(PrincipalName|SID|PrimarySmtpAddress|SmtpAddress)",
    "PrincipalName": "=nonempty",
    "SID": "=nonempty",
    "PrimarySmtpAddress": "=nonempty",
    "SmtpAddress": "=nonempty",
    "TimeZoneContext": "TimeZoneDefinition",
}
_BY_KIND = {"boolean": "=bool", "integer": "=int", "datetime": "=datetime", "strings": "String*",
            "attendees": "Attendee+", "text": "=any"}  # fmt: skip


class _Rule(msgspec.Struct, frozen=True):
    children: re.Pattern[str] | None
    text: str | None
    """The kind of text, or None where only elements are allowed."""
    attributes: dict[str, str]
    required: tuple[str, ...]
    open: bool


def _rule(source: str) -> _Rule:
    if source == "...":
        return _Rule(None, None, {}, (), True)
    words = source.split(" @")
    model = words.pop(0)
    if model.startswith("@"):
        words.insert(0, model[1:])
        model = ""
    attributes = dict(word.strip().split(":") for word in words)
    required = tuple(name[:-1] for name in attributes if name.endswith("!"))
    names = {name.rstrip("!"): kind for name, kind in attributes.items()}
    if model.startswith("="):
        return _Rule(None, model[1:], names, required, False)
    pattern = re.sub(r"(\w+)|\s+", lambda match: f"(?:{match[1]} )" if match[1] else "", model)
    return _Rule(re.compile(pattern), None, names, required, False)


def _rules() -> dict[str, _Rule]:
    grammar = dict(_GRAMMAR)
    for prop in PROPERTIES:
        if prop.element not in grammar:
            choices = "|".join(prop.choices)
            grammar[prop.element] = f"={choices}" if choices else _BY_KIND.get(prop.kind, "...")
    return {name: _rule(source) for name, source in grammar.items()}


_RULES = _rules()
_LEAF_ENUMS = {
    rule.text: re.compile(rule.text) for rule in _RULES.values() if rule.text and rule.text not in _TEXTS
}


def check_request(body: etree._Element) -> None:
    """Check the body of a request. Raises ``SoapFault`` ErrorSchemaValidation."""
    name = local(body)
    if name not in OPERATIONS or body.tag != f"{{{MESSAGES}}}{name}":
        raise _fault(body, f"The element '{name}' is not a request that this server knows.")
    _check(body, name, MESSAGES)


def check_header(block: etree._Element) -> None:
    """Check a header block that Exchange reads; others are left alone."""
    name = local(block)
    if name in ("RequestServerVersion", "ExchangeImpersonation", "TimeZoneContext"):
        if block.tag != f"{{{TYPES}}}{name}":
            raise _fault(block, f"The header '{name}' has to be in the namespace {TYPES}.")
        _check(block, name, TYPES)


def _fault(element: etree._Element, text: str) -> SoapFault:
    return SoapFault(
        "ErrorSchemaValidation",
        f"The request failed schema validation: {text}",
        violation=text,
        line=line_of(element),
    )


def _namespace(tag: str) -> str:
    return tag[1:].partition("}")[0]


def _attributes(element: etree._Element) -> dict[str, str]:
    return {str(name): str(value) for name, value in element.attrib.items()}


def _check(element: etree._Element, name: str, namespace: str) -> None:
    rule = _RULES[name]
    if rule.open:
        return
    for attribute, value in _attributes(element).items():
        kind = rule.attributes.get(attribute)
        if kind is None:
            if attribute.startswith("{"):
                continue
            raise _fault(element, f"The '{attribute}' attribute is not declared for the '{name}' element.")
        if not _matches(kind, value):
            raise _fault(element, f"The '{attribute}' attribute of '{name}' has an invalid value.")
    for attribute in rule.required:
        if element.get(attribute) is None:
            raise _fault(element, f"The required attribute '{attribute}' of '{name}' is missing.")
    if rule.text is not None:
        if len(element):
            raise _fault(element, f"The element '{name}' cannot contain child elements.")
        if not _matches(rule.text, element.text or ""):
            raise _fault(element, f"The '{name}' element has an invalid value.")
        return
    if (element.text or "").strip():
        raise _fault(element, f"The element '{name}' cannot contain text.")
    prefix = f"{{{namespace}}}"
    names = []
    for child in element:
        tag = str(child.tag)
        if not tag.startswith(prefix) or (child.tail or "").strip():
            raise _fault(
                child,
                f"The element '{name}' has invalid content: '{local(child)}' in {_namespace(tag)}.",
            )
        names.append(tag[len(prefix) :])
    assert rule.children is not None
    if rule.children.fullmatch("".join(f"{one} " for one in names)) is None:
        given = ", ".join(names) or "none"
        raise _fault(
            element, f"The element '{name}' has child elements that the schema does not allow there: {given}."
        )
    for child, child_name in zip(element, names, strict=True):
        _check(child, child_name, TYPES)
    if name == "FieldURI":
        _check_uri(element)


def _check_uri(element: etree._Element) -> None:
    uri = str(element.get("FieldURI"))
    prefix = uri.partition(":")[0]
    if uri not in BY_URI and prefix in ("item", "calendar"):
        raise _fault(element, "The 'FieldURI' attribute has an invalid value: there is no such property.")


def _matches(kind: str, value: str) -> bool:
    pattern = _TEXTS[kind] if kind in _TEXTS else _LEAF_ENUMS[kind]
    return pattern is None or pattern.fullmatch(value) is not None
