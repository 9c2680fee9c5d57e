"""What Exchange's schema says of the elements that calendars need, in a short notation.

An element has a model of its children, a regular expression over their names, and attributes; see
``providers.sandbox.ews.grammar`` for who reads it. The whole is a part of the schemas in [MS-OXWSCORE],
[MS-OXWSMTGS], [MS-OXWSSRCH], [MS-OXWSFOLD], [MS-OXWSXPROP] and their kin.
"""

import re
from typing import Final

from providers.sandbox.ews.properties import PROPERTIES

__all__ = ["ELEMENTS", "TEXTS"]

_DATETIME = r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"
TEXTS: Final = {
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
    "syncchanges": re.compile(r"\s*\+?0*([1-9]\d?|[1-4]\d\d|50\d|51[0-2])\s*"),
    "configurationproperties": re.compile(
        r"\s*((Id|Dictionary|XmlData|BinaryData|All)\s+)*"
        r"(Id|Dictionary|XmlData|BinaryData|All)?\s*"
    ),
    "dictionarytype": re.compile(
        "DateTime|Boolean|Byte|String|(Unsigned)?Integer(32|64)|StringArray|ByteArray"
    ),
    "base64": re.compile(
        r"\s*(([A-Za-z0-9+/]\s*){4})*(([A-Za-z0-9+/]\s*){2}=\s*=|([A-Za-z0-9+/]\s*){3}=)?\s*"
    ),
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
_FOLDER_KINDS = "(Folder|CalendarFolder|ContactsFolder|SearchFolder|TasksFolder)"
_ZONE = "(Periods TransitionsGroups? Transitions?)? @Id:any @Name:any"
ELEMENTS = {
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
    "CreateFolder": "ParentFolderId Folders",
    "UpdateFolder": "FolderChanges",
    "DeleteFolder": "FolderIds @DeleteType!:disposal",
    "GetUserConfiguration": "UserConfigurationName UserConfigurationProperties",
    "CreateUserConfiguration": "UserConfiguration",
    "UpdateUserConfiguration": "UserConfiguration",
    "DeleteUserConfiguration": "UserConfigurationName",
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
    "ParentFolderId": _FOLDER_IDS,
    "Folders": f"{_FOLDER_KINDS}+",
    "FolderChanges": "FolderChange+",
    "UserConfigurationName": f"{_FOLDER_IDS} @Name!:nonempty",
    "UserConfigurationProperties": "=configurationproperties",
    "UserConfiguration": "UserConfigurationName ItemId? Dictionary? XmlData? BinaryData?",
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
    "MaxChangesReturned": "=syncchanges",
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
    "Updates": "((SetItemField|DeleteItemField|AppendToItemField)+"
    "|(SetFolderField|DeleteFolderField|AppendToFolderField)+)",
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
    # folders and configurations
    "Folder": "FolderId? ParentFolderId? FolderClass? DisplayName? TotalCount? ChildFolderCount?"
    " ExtendedProperty* ManagedFolderInformation? EffectiveRights? PolicyTag? ArchiveTag? ReplicaList?"
    " PermissionSet? UnreadCount?",
    "CalendarFolder": "FolderId? ParentFolderId? FolderClass? DisplayName? TotalCount? ChildFolderCount?"
    " ExtendedProperty* ManagedFolderInformation? EffectiveRights? PolicyTag? ArchiveTag? ReplicaList?"
    " SharingEffectiveRights? PermissionSet?",
    **dict.fromkeys(("FolderClass", "DisplayName"), "=any"),
    **dict.fromkeys(("TotalCount", "ChildFolderCount", "UnreadCount"), "=int"),
    **dict.fromkeys(
        (
            "ContactsFolder",
            "SearchFolder",
            "TasksFolder",
            "ManagedFolderInformation",
            "ReplicaList",
            "SharingEffectiveRights",
            "PermissionSet",
        ),
        "...",
    ),
    "FolderChange": "(FolderId|DistinguishedFolderId) Updates",
    "SetFolderField": f"{_PATH} {_FOLDER_KINDS}",
    "AppendToFolderField": f"{_PATH} {_FOLDER_KINDS}",
    "DeleteFolderField": _PATH,
    "Dictionary": "DictionaryEntry*",
    "DictionaryEntry": "DictionaryKey DictionaryValue",
    "DictionaryKey": "Type Value+",
    "DictionaryValue": "Type Value+",
    "Type": "=dictionarytype",
    "XmlData": "=base64",
    "BinaryData": "=base64",
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
