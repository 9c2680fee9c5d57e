"""Who may do what: logins, impersonation, delegate access; and the folders that they find."""

import aiohttp
import pytest

from tests.sandbox.ews.soap import ALICE, CALENDAR, Exchange, impersonating, lecture, set_field, uri

BOB = "bob@uni.example"


def calendar_of(address: str) -> str:
    return (
        '<t:DistinguishedFolderId Id="calendar"><t:Mailbox>'
        f"<t:EmailAddress>{address}</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>"
    )


def get_folder(folder: str) -> str:
    return (
        "<m:GetFolder><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape>"
        f"<m:FolderIds>{folder}</m:FolderIds></m:GetFolder>"
    )


@pytest.mark.parametrize("password", ["wrong", ""])
async def test_a_wrong_password_is_401_and_names_the_scheme(exchange: Exchange, password: str) -> None:
    login = aiohttp.encode_basic_auth(exchange.state.credentials.ews_username, password)
    answer = await exchange.post("<x/>", login)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


async def test_there_may_be_several_accounts(exchange: Exchange) -> None:
    exchange.state.ews_accounts["UNI\\svc-two"] = "secret"
    for password, status in (("secret", 500), ("wrong", 401)):
        login = aiohttp.encode_basic_auth("uni\\svc-two", password)
        assert (await exchange.post("<x/>", login)).status == status


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Bearer abc", "Negotiate"])
async def test_other_logins_are_401(exchange: Exchange, header: str) -> None:
    assert (await exchange.post("<x/>", header)).status == 401


@pytest.mark.parametrize("kind", ["PrimarySmtpAddress", "SmtpAddress", "PrincipalName"])
async def test_an_account_acts_as_a_mailbox(exchange: Exchange, kind: str) -> None:
    await exchange.create(lecture(), header=impersonating(ALICE.upper(), kind))
    assert len((await exchange.find()).ids) == 1
    assert (await exchange.find(header=impersonating(BOB))).ids == []


async def test_an_alias_is_the_same_mailbox(exchange: Exchange) -> None:
    exchange.state.add_mailbox("ews", ALICE, ["a.liddell@uni.example"])
    await exchange.create(lecture(), header=impersonating("a.liddell@uni.example"))
    assert len((await exchange.find()).ids) == 1
    one, other = [
        (await exchange.call(get_folder(CALENDAR), impersonating(address))).find(".//t:FolderId").get("Id")
        for address in (ALICE, "A.Liddell@uni.example")
    ]
    assert one == other


async def test_a_mailbox_that_is_not_there(exchange: Exchange) -> None:
    answer = await exchange.find(header=impersonating("nobody@elsewhere.example"))
    assert (answer.status, answer.fault) == (500, "ErrorNonExistentMailbox")
    exchange.state.mailbox("ews", ALICE)
    exchange.state.remove_mailbox("ews", ALICE)
    assert (await exchange.find()).fault == "ErrorNonExistentMailbox"


async def test_impersonation_can_be_denied_for_a_mailbox(exchange: Exchange) -> None:
    exchange.state.add_mailbox("ews", ALICE).access = False
    assert (await exchange.create(lecture())).fault == "ErrorImpersonateUserDenied"
    assert (await exchange.find(header=impersonating(BOB))).codes == ["NoError"]


async def test_the_impersonated_have_no_access_to_others(exchange: Exchange) -> None:
    made = (await exchange.create(lecture())).ids[0]
    as_bob = impersonating(BOB)
    change = set_field(uri("item:Subject"), "<t:Subject>x</t:Subject>")
    assert (await exchange.find(folder=calendar_of(ALICE), header=as_bob)).codes == ["ErrorAccessDenied"]
    assert (await exchange.get(made[0], header=as_bob)).codes == ["ErrorItemNotFound"]
    assert (await exchange.update(made, change, header=as_bob)).codes == ["ErrorItemNotFound"]
    assert (await exchange.delete(made[0], header=as_bob)).codes == ["ErrorItemNotFound"]


async def test_a_delegate_names_the_mailbox_with_the_folder(exchange: Exchange) -> None:
    made = await exchange.create(lecture(), folder=calendar_of(ALICE), header="")
    assert made.codes == ["NoError"]
    assert (await exchange.get(made.ids[0][0], header="")).codes == ["NoError"]
    assert (await exchange.find()).ids == made.ids
    assert (await exchange.find(folder=calendar_of("no@elsewhere.example"), header="")).codes == [
        "ErrorNonExistentMailbox"
    ]


async def test_a_delegate_without_rights(exchange: Exchange) -> None:
    made = (await exchange.create(lecture())).ids[0]
    mailbox = exchange.state.mailbox("ews", ALICE)
    assert mailbox is not None
    mailbox.access = False
    assert (await exchange.call(get_folder(calendar_of(ALICE)), "")).codes == ["ErrorAccessDenied"]
    assert (await exchange.create(lecture(), folder=calendar_of(ALICE), header="")).codes == [
        "ErrorAccessDenied"
    ]
    assert (await exchange.get(made[0], header="")).codes == ["ErrorItemNotFound"]
    assert (await exchange.delete(made[0], header="")).codes == ["ErrorItemNotFound"]
    assert len(mailbox.events) == 1


async def test_without_a_mailbox_the_accounts_own_is_meant(exchange: Exchange) -> None:
    await exchange.create(lecture(), header="")
    own = exchange.state.mailbox("ews", exchange.state.credentials.ews_username)
    assert own is not None
    assert len(own.events) == 1


# Folders and the rest


async def test_the_calendar_folder(exchange: Exchange) -> None:
    await exchange.create(lecture())
    answer = await exchange.call(get_folder(CALENDAR))
    assert answer.texts("DisplayName") == ["Calendar"]
    assert answer.texts("FolderClass") == ["IPF.Appointment"]
    assert answer.texts("TotalCount") == ["1"]
    identifier = answer.find(".//t:CalendarFolder/t:FolderId").get("Id")
    by_id = f'<t:FolderId Id="{identifier}"/>'
    assert (await exchange.call(get_folder(by_id))).texts("DisplayName") == ["Calendar"]
    assert len((await exchange.find(folder=by_id)).ids) == 1
    assert (await exchange.create(lecture(), folder=by_id)).codes == ["NoError"]


@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ('<t:DistinguishedFolderId Id="notes"/>', "ErrorFolderNotFound"),
        ('<t:FolderId Id="AAAA"/>', "ErrorInvalidIdMalformed"),
    ],
)
async def test_folders_that_are_not_there(exchange: Exchange, folder: str, code: str) -> None:
    assert (await exchange.call(get_folder(folder))).codes == [code]
    assert (await exchange.find(folder=folder)).codes == [code]
    assert (await exchange.create(lecture(), folder=folder)).codes == [code]


async def test_calendar_items_go_into_calendars_only(exchange: Exchange) -> None:
    answer = await exchange.create(lecture(), folder='<t:DistinguishedFolderId Id="inbox"/>')
    assert answer.codes == ["ErrorCannotCreateCalendarItemInNonCalendarFolder"]


async def test_the_tree_of_folders(exchange: Exchange) -> None:
    shape = "<m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>"
    deep = await exchange.call(
        f'<m:FindFolder Traversal="Deep">{shape}<m:ParentFolderIds><t:DistinguishedFolderId Id="root"/>'
        "</m:ParentFolderIds></m:FindFolder>"
    )
    assert {"Top of Information Store", "Calendar", "Deleted Items"} < set(deep.texts("DisplayName"))
    synced = await exchange.call(f"<m:SyncFolderHierarchy>{shape}</m:SyncFolderHierarchy>")
    assert sorted(synced.texts("DisplayName")) == sorted(deep.texts("DisplayName"))
    state = synced.find(".//m:SyncState").text
    again = await exchange.call(
        f"<m:SyncFolderHierarchy>{shape}<m:SyncState>{state}</m:SyncState></m:SyncFolderHierarchy>"
    )
    assert again.texts("DisplayName") == []


async def test_names_are_resolved_to_the_primary_address(exchange: Exchange) -> None:
    exchange.state.add_mailbox("ews", ALICE, ["a.liddell@uni.example"])

    def resolve(name: str) -> str:
        return (
            '<m:ResolveNames ReturnFullContactData="false">'
            f"<m:UnresolvedEntry>{name}</m:UnresolvedEntry></m:ResolveNames>"
        )

    assert (await exchange.call(resolve("smtp:a.liddell@uni.example"))).texts("EmailAddress") == [ALICE]
    assert (await exchange.call(resolve("nobody"))).codes == ["ErrorNameResolutionNoResults"]


async def test_time_zones_with_their_rules(exchange: Exchange) -> None:
    answer = await exchange.call(
        '<m:GetServerTimeZones ReturnFullTimeZoneData="true"><m:Ids><t:Id>W. Europe Standard Time</t:Id>'
        "<t:Id>India Standard Time</t:Id></m:Ids></m:GetServerTimeZones>"
    )
    europe, india = answer.all(".//t:TimeZoneDefinition")
    ns = {"t": "http://schemas.microsoft.com/exchange/services/2006/types"}
    assert [(p.get("Name"), p.get("Bias")) for p in europe.findall(".//t:Period", ns)] == [
        ("Standard", "-PT1H0M0S"),
        ("Daylight", "-PT2H0M0S"),
    ]
    summer, winter = europe.findall(".//t:RecurringDayTransition", ns)
    parts = ("To", "TimeOffset", "Month", "DayOfWeek", "Occurrence")
    read = [[one.findtext(f"t:{part}", None, ns) for part in parts] for one in (summer, winter)]
    assert read == [
        ["trule:Daylight", "PT2H0M0S", "3", "Sunday", "-1"],
        ["trule:Standard", "PT3H0M0S", "10", "Sunday", "-1"],
    ]
    assert [p.get("Bias") for p in india.findall(".//t:Period", ns)] == ["-PT5H30M0S"]
    everything = await exchange.call('<m:GetServerTimeZones ReturnFullTimeZoneData="true"/>')
    assert len(everything.all(".//t:TimeZoneDefinition")) > 130


async def test_ids_convert_to_themselves_and_nothing_else(exchange: Exchange) -> None:
    identifier = (await exchange.create(lecture())).ids[0][0]

    def convert(format_: str) -> str:
        return (
            f'<m:ConvertId DestinationFormat="{format_}"><m:SourceIds>'
            f'<t:AlternateId Format="EwsId" Id="{identifier}" Mailbox="{ALICE}"/></m:SourceIds></m:ConvertId>'
        )

    assert (await exchange.call(convert("EwsId"))).find(".//m:AlternateId").get("Id") == identifier
    assert (await exchange.call(convert("EntryId"))).codes == ["ErrorUnsupportedTypeForConversion"]
