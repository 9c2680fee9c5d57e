"""What Exchange's schema refuses, with Microsoft's own schemas and by the sandbox's own rules alike."""

import pytest
from lxml import etree

from tests.sandbox.ews.soap import ALICE, SCHEMAS, SOAP, Exchange, impersonating, lecture, named, prop, schema

ITEM = (
    "<m:CreateItem SendMeetingInvitations='SendToNone'><m:Items><t:CalendarItem>{}</t:CalendarItem></m:Items>"
    "</m:CreateItem>"
)
GET = "<m:GetItem><m:ItemShape><t:BaseShape>{}</t:BaseShape></m:ItemShape>{}</m:GetItem>"
FIND = (
    "<m:FindItem {}><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>{}"
    "<m:ParentFolderIds><t:DistinguishedFolderId Id='calendar'/></m:ParentFolderIds></m:FindItem>"
)
IDS = "<m:ItemIds><t:ItemId Id='A'/></m:ItemIds>"
SHALLOW = "Traversal='Shallow'"

CONFIGURATION = (
    "<m:CreateUserConfiguration><m:UserConfiguration><t:UserConfigurationName Name='a'>"
    "<t:DistinguishedFolderId Id='calendar'/></t:UserConfigurationName>{}</m:UserConfiguration>"
    "</m:CreateUserConfiguration>"
)
VALUE = (
    "<t:Dictionary><t:DictionaryEntry><t:DictionaryKey><t:Type>String</t:Type><t:Value>a</t:Value>"
    "</t:DictionaryKey><t:DictionaryValue {}/></t:DictionaryEntry></t:Dictionary>"
)
SYNC = (
    "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:SyncFolderId>"
    "<t:DistinguishedFolderId Id='calendar'/></m:SyncFolderId><m:MaxChangesReturned>{}</m:MaxChangesReturned>"
    "</m:SyncFolderItems>"
)

REFUSED = {
    "an unknown element": ITEM.format("<t:Colour>red</t:Colour>"),
    "elements in another order": ITEM.format("<t:Location>x</t:Location><t:Subject>x</t:Subject>"),
    "an element twice": ITEM.format("<t:Subject>x</t:Subject><t:Subject>x</t:Subject>"),
    "another namespace": ITEM.format("<m:Subject>x</m:Subject>"),
    "an extended property after later elements": ITEM.format(lecture() + prop("A", "1")),
    "an extended property without a value": ITEM.format(
        f"<t:ExtendedProperty>{named('A')}</t:ExtendedProperty>"
    ),
    "a value that is none of the listed": ITEM.format(
        "<t:LegacyFreeBusyStatus>busy</t:LegacyFreeBusyStatus>"
    ),
    "a number that is none": ITEM.format("<t:ReminderMinutesBeforeStart>ten</t:ReminderMinutesBeforeStart>"),
    "a boolean that is none": ITEM.format("<t:IsAllDayEvent>yes</t:IsAllDayEvent>"),
    "a date instead of a time": ITEM.format("<t:Start>2026-09-01</t:Start>"),
    "a body without its type": ITEM.format("<t:Body>x</t:Body>"),
    "text where elements belong": ITEM.format("x"),
    "no items": "<m:CreateItem><m:Items/></m:CreateItem>",
    "an unknown attribute": ITEM.format("").replace("CreateItem ", "CreateItem Colour='red' ", 1),
    "a wrong attribute": ITEM.format("").replace("SendToNone", "SendToNobody"),
    "an unknown shape": GET.format("Everything", IDS),
    "a missing part": GET.format("IdOnly", ""),
    "a missing attribute": FIND.format("", ""),
    "an unknown property": FIND.format(
        SHALLOW, "<m:Restriction><t:Exists><t:FieldURI FieldURI='item:Colour'/></t:Exists></m:Restriction>"
    ),
    "a restriction before the page": FIND.format(
        SHALLOW,
        f"<m:Restriction><t:Exists>{named('A')}</t:Exists></m:Restriction>"
        "<m:IndexedPageItemView Offset='0' BasePoint='Beginning'/>",
    ),
    "a comparison without a value": FIND.format(
        SHALLOW, f"<m:Restriction><t:IsEqualTo>{named('A')}</t:IsEqualTo></m:Restriction>"
    ),
    "a property set that is no GUID": FIND.format(
        SHALLOW, f"<m:Restriction><t:Exists>{named('A').replace('7c6a1f52', 'x')}</t:Exists></m:Restriction>"
    ),
    "an update without changes": "<m:UpdateItem ConflictResolution='AutoResolve'><m:ItemChanges>"
    "<t:ItemChange><t:ItemId Id='A'/><t:Updates/></t:ItemChange></m:ItemChanges></m:UpdateItem>",
    "no resolution of conflicts": "<m:UpdateItem><m:ItemChanges><t:ItemChange><t:ItemId Id='A'/><t:Updates>"
    "<t:DeleteItemField><t:FieldURI FieldURI='item:Subject'/></t:DeleteItemField></t:Updates>"
    "</t:ItemChange></m:ItemChanges></m:UpdateItem>",
    "no type of deletion": f"<m:DeleteItem>{IDS}</m:DeleteItem>",
    "a folder without a kind of deletion": "<m:DeleteFolder><m:FolderIds>"
    "<t:DistinguishedFolderId Id='inbox'/></m:FolderIds></m:DeleteFolder>",
    "more changes than there may be at once": SYNC.format(513),
    "a dictionary with a value of no type": CONFIGURATION.format(VALUE.format("")),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_the_schema_refuses(plain: Exchange, what: str) -> None:
    answer = await plain.call(REFUSED[what])
    assert (answer.status, answer.fault) == (500, "ErrorSchemaValidation")
    assert answer.find(".//t:Violation").text
    assert len(plain.state.violations) == 1
    assert plain.state.mailbox("ews", ALICE).events == {}  # type: ignore[union-attr]


@pytest.mark.parametrize("what", REFUSED)
async def test_microsofts_schema_refuses_it_too(exchange: Exchange, what: str) -> None:
    found = schema()
    if found is None:
        pytest.skip(f"NOT CHECKED: Microsoft's schemas are not in {SCHEMAS}")
    envelope = (
        f'<r xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"'
        f' xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages">{REFUSED[what]}</r>'
    )
    assert not found.validate(etree.fromstring(envelope)[0])
    assert (await exchange.call(REFUSED[what])).fault == "ErrorSchemaValidation"


@pytest.mark.parametrize(
    "data",
    [
        "",
        "not XML",
        "<a>",
        "<a/>",
        f"<s:Envelope xmlns:s='{SOAP}'/>",
        f"<s:Envelope xmlns:s='{SOAP}'><s:Body/></s:Envelope>",
        f"<!DOCTYPE a [<!ENTITY x 'y'>]><s:Envelope xmlns:s='{SOAP}'><s:Body><a>&x;</a></s:Body>"
        "</s:Envelope>",
        f"<s:Envelope xmlns:s='{SOAP}'><s:Body><Delete/></s:Body></s:Envelope>",
    ],
)
async def test_what_is_no_request_at_all(plain: Exchange, data: str) -> None:
    answer = await plain.post(data)
    assert (answer.status, answer.fault) == (500, "ErrorSchemaValidation")


@pytest.mark.parametrize(
    "header",
    [
        impersonating(""),
        "<t:ExchangeImpersonation/>",
        '<t:RequestServerVersion Version="Exchange2077"/>',
        "<t:TimeZoneContext/>",
    ],
)
async def test_headers_are_checked(plain: Exchange, header: str) -> None:
    assert (await plain.call(FIND.format(SHALLOW, ""), header)).fault == "ErrorSchemaValidation"


async def test_a_header_may_use_the_default_namespace(plain: Exchange) -> None:
    header = impersonating("nobody@elsewhere.example").replace("t:", "")
    types = "http://schemas.microsoft.com/exchange/services/2006/types"
    header = header.replace("<ExchangeImpersonation>", f'<ExchangeImpersonation xmlns="{types}">')
    assert (await plain.call(FIND.format(SHALLOW, ""), header)).fault == "ErrorNonExistentMailbox"


async def test_a_dictionary_may_have_a_value_that_is_null(exchange: Exchange) -> None:
    null = "xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='true'"
    assert (await exchange.call(CONFIGURATION.format(VALUE.format(null)))).codes == ["NoError"]


@pytest.mark.parametrize("data", ["x", "eHg", "eHg=="])
async def test_data_that_is_no_base64_is_refused(plain: Exchange, data: str) -> None:
    """libxml2 is more lenient here than the schema."""
    request = CONFIGURATION.format(f"<t:XmlData>{data}</t:XmlData>")
    assert (await plain.call(request)).fault == "ErrorSchemaValidation"


async def test_what_is_right_leaves_no_violation(plain: Exchange) -> None:
    assert (await plain.create(lecture(more=prop("A", "1")))).codes == ["NoError"]
    assert plain.state.violations == []
