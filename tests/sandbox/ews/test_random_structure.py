"""Requests at random: the sandbox's rules refuse what Microsoft's schemas refuse, and nothing crashes."""

from copy import deepcopy
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from providers.sandbox.ews import access, faults, grammar, operations, soap
from providers.sandbox.ews.dialect import EwsDialect
from providers.sandbox.ews.schemas import declared
from providers.sandbox.state import State
from tests.properties import examples
from tests.sandbox.ews.soap import (
    ALICE,
    CALENDAR,
    NS,
    SCHEMAS,
    T,
    lecture,
    named,
    prop,
    schema,
    set_field,
    uri,
)

SHAPE = (
    "<m:ItemShape><t:BaseShape>AllProperties</t:BaseShape><t:BodyType>Text</t:BodyType>"
    f"<t:AdditionalProperties>{named('A')}{uri('item:Body')}</t:AdditionalProperties></m:ItemShape>"
)
PAGE = '<m:IndexedPageItemView MaxEntriesReturned="5" Offset="0" BasePoint="Beginning"/>'
ATTENDEE = "<t:Attendee><t:Mailbox><t:EmailAddress>bob@uni.example</t:EmailAddress></t:Mailbox></t:Attendee>"
REQUESTS = (
    '<m:CreateItem SendMeetingInvitations="SendToNone"><m:Items><t:CalendarItem>'
    + lecture(
        more='<t:Body BodyType="Text">x</t:Body><t:Categories><t:String>a</t:String></t:Categories>'
        + prop("A", "1"),
        after="<t:IsAllDayEvent>true</t:IsAllDayEvent><t:LegacyFreeBusyStatus>Busy</t:LegacyFreeBusyStatus>"
        f'<t:RequiredAttendees>{ATTENDEE}</t:RequiredAttendees><t:StartTimeZone Id="UTC"/>',
    )
    + "</t:CalendarItem></m:Items></m:CreateItem>",
    '<m:UpdateItem ConflictResolution="AlwaysOverwrite" SendMeetingInvitationsOrCancellations="SendToNone">'
    '<m:ItemChanges><t:ItemChange><t:ItemId Id="ID"/><t:Updates>'
    + set_field(uri("item:Subject"), "<t:Subject>x</t:Subject>")
    + set_field(named("A"), prop("A", "2"))
    + f"<t:DeleteItemField>{uri('calendar:Location')}</t:DeleteItemField>"
    "</t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>",
    f'<m:GetItem>{SHAPE}<m:ItemIds><t:ItemId Id="ID"/></m:ItemIds></m:GetItem>',
    f'<m:FindItem Traversal="Shallow">{SHAPE}{PAGE}<m:Restriction><t:And><t:IsEqualTo>{named("A")}'
    '<t:FieldURIOrConstant><t:Constant Value="1"/></t:FieldURIOrConstant></t:IsEqualTo>'
    f"<t:Not><t:Exists>{named('A')}</t:Exists></t:Not></t:And></m:Restriction><m:SortOrder>"
    f'<t:FieldOrder Order="Ascending">{uri("item:Subject")}</t:FieldOrder></m:SortOrder>'
    f"<m:ParentFolderIds>{CALENDAR}</m:ParentFolderIds></m:FindItem>",
    "<m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>"
    f"<m:FolderIds>{CALENDAR}</m:FolderIds></m:GetFolder>",
    '<m:DeleteItem DeleteType="HardDelete" SendMeetingCancellations="SendToNone"><m:ItemIds>'
    '<t:ItemId Id="ID"/></m:ItemIds></m:DeleteItem>',
    f"<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:SyncFolderId>{CALENDAR}"
    '</m:SyncFolderId><m:SyncState>x</m:SyncState><m:Ignore><t:ItemId Id="ID"/></m:Ignore>'
    "<m:MaxChangesReturned>512</m:MaxChangesReturned><m:SyncScope>NormalItems</m:SyncScope></m:SyncFolderItems>",
    f"<m:CreateFolder><m:ParentFolderId>{CALENDAR}</m:ParentFolderId><m:Folders><t:CalendarFolder>"
    f"<t:FolderClass>IPF.Appointment</t:FolderClass><t:DisplayName>x</t:DisplayName>{prop('A', '1')}"
    "</t:CalendarFolder></m:Folders></m:CreateFolder>",
    '<m:UpdateFolder><m:FolderChanges><t:FolderChange><t:FolderId Id="FOLDER"/><t:Updates><t:SetFolderField>'
    f"{uri('folder:DisplayName')}<t:CalendarFolder><t:DisplayName>x</t:DisplayName></t:CalendarFolder>"
    "</t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>",
    '<m:DeleteFolder DeleteType="SoftDelete"><m:FolderIds><t:FolderId Id="FOLDER"/></m:FolderIds>'
    "</m:DeleteFolder>",
    f'<m:GetUserConfiguration><m:UserConfigurationName Name="x">{CALENDAR}</m:UserConfigurationName>'
    "<m:UserConfigurationProperties>Id XmlData</m:UserConfigurationProperties></m:GetUserConfiguration>",
    f'<m:CreateUserConfiguration><m:UserConfiguration><t:UserConfigurationName Name="y">{CALENDAR}'
    "</t:UserConfigurationName><t:Dictionary><t:DictionaryEntry><t:DictionaryKey><t:Type>String</t:Type>"
    "<t:Value>a</t:Value></t:DictionaryKey><t:DictionaryValue><t:Type>Integer32</t:Type><t:Value>1</t:Value>"
    "</t:DictionaryValue></t:DictionaryEntry></t:Dictionary></m:UserConfiguration>"
    "</m:CreateUserConfiguration>",
)
VALUES = (
    "", "x", "true", "1", "-1", "99999999999", "IdOnly", "2026-09-01T00:00:00", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z", "HTML", "item:Body", "calendar:End", "0x3001", "Integer", "inbox", "UTC",
)  # fmt: skip


def mutate(request: etree._Element, random: Random) -> None:
    """Take something out, double it, or put another value into it."""
    element = random.choice(list(request.iter("{*}*")))
    parent = element.getparent()
    match random.randrange(5):
        case 0 if parent is not None and element is not request:
            parent.remove(element)
        case 1 if parent is not None and element is not request:
            element.addnext(deepcopy(random.choice(list(request.iter("{*}*")))))
        case 2 if element.attrib:
            element.set(random.choice(list(element.attrib)), random.choice(VALUES))
        case 3 if element.attrib:
            del element.attrib[random.choice(list(element.attrib))]
        case _ if not len(element):
            element.text = random.choice(VALUES)


def refused(request: etree._Element) -> bool:
    try:
        grammar.check_request(request)
    except soap.SoapFault:
        return True
    return False


@examples(500)
@given(st.sampled_from(REQUESTS), st.integers(0, 3), st.randoms(use_true_random=False))
def test_what_is_refused_and_what_is_answered(source: str, mutations: int, random: Random) -> None:
    microsoft = schema()
    if microsoft is None:
        pytest.skip(f"NOT CHECKED: Microsoft's schemas are not in {SCHEMAS}")
    state = State()
    mailbox = state.add_mailbox("ews", ALICE)
    event = {"start": "2026-09-01T07:00:00Z", "end": "2026-09-01T08:00:00Z"}
    identifier = EwsDialect().create(mailbox, event)["id"]
    folder = EwsDialect().make_calendar(mailbox, "Sports").id
    mailbox.native["configurations"] = {"calendar": {"x": {"id": identifier, "change": 1}}}
    source = source.replace('Id="ID"', f'Id="{identifier}"').replace("FOLDER", folder)
    root = etree.fromstring(f'<r xmlns:t="{T}" xmlns:m="{NS["m"]}">{source}</r>')
    request = root[0]
    for _ in range(mutations):
        mutate(request, random)
    text = etree.tostring(request).decode()
    request = etree.fromstring(text)

    assert refused(request) is not microsoft.validate(request), text

    if refused(request):
        return
    asking = access.Caller(state=state, account="svc@uni.example", impersonated=mailbox, zone=None)
    call = operations.Call(caller=asking, body=request, plan=faults.Plan())
    answer = soap.render_response(soap.local(request), operations.carry_out(call))
    body = etree.fromstring(answer.encode()).find("s:Body", NS)
    assert body is not None
    microsoft.assertValid(declared(body[0]))
