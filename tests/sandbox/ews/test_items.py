"""Calendar items over EWS: CreateItem, GetItem, UpdateItem and DeleteItem by Exchange's rules."""

from xml.sax.saxutils import escape

import pytest

from tests.sandbox.ews.soap import (
    ALICE,
    Exchange,
    impersonating,
    in_zone,
    lecture,
    named,
    prop,
    set_field,
    uri,
)

BERLIN = '<t:StartTimeZone Id="W. Europe Standard Time"/><t:EndTimeZone Id="W. Europe Standard Time"/>'


async def test_an_item_comes_back_as_it_was_made(exchange: Exchange) -> None:
    made = await exchange.create(
        "<t:Subject>Analyse &amp; &lt;Maß&gt;</t:Subject><t:Sensitivity>Private</t:Sensitivity>"
        '<t:Body BodyType="Text">one\ntwo</t:Body>'
        "<t:Categories><t:String>Lectures</t:String><t:String>Überblick</t:String></t:Categories>"
        "<t:ReminderIsSet>false</t:ReminderIsSet><t:ReminderMinutesBeforeStart>5</t:ReminderMinutesBeforeStart>"
        + prop("RoosterInstance", "uni.example")
        + "<t:UID>abc@uni.example</t:UID><t:Start>2026-09-01T09:00:00+02:00</t:Start>"
        "<t:End>2026-09-01T09:45:00Z</t:End><t:IsAllDayEvent>false</t:IsAllDayEvent>"
        "<t:LegacyFreeBusyStatus>Tentative</t:LegacyFreeBusyStatus><t:Location>Room 1</t:Location>" + BERLIN
    )
    assert made.codes == ["NoError"]

    found = await exchange.get(made.ids[0][0], shape="AllProperties", paths=named("RoosterInstance"))

    assert found.texts("Subject") == ["Analyse & <Maß>"]
    assert found.texts("Sensitivity") == ["Private"]
    assert found.texts("Body") == ["one\ntwo"]
    assert found.texts("String") == ["Lectures", "Überblick"]
    assert found.texts("ReminderIsSet") == ["false"]
    assert found.texts("ReminderMinutesBeforeStart") == ["5"]
    assert found.texts("Value") == ["uni.example"]
    assert found.texts("UID") == ["abc@uni.example"]
    assert found.texts("Start") == ["2026-09-01T07:00:00Z"]
    assert found.texts("End") == ["2026-09-01T09:45:00Z"]
    assert found.texts("LegacyFreeBusyStatus") == ["Tentative"]
    assert found.texts("Location") == ["Room 1"]
    assert found.find(".//t:StartTimeZone").get("Id") == "W. Europe Standard Time"
    assert found.ids == made.ids


async def test_extended_properties_come_only_when_asked_for(exchange: Exchange) -> None:
    made = await exchange.create(lecture(more=prop("A", "1") + prop("B", "2")))
    identifier = made.ids[0][0]
    assert (await exchange.get(identifier, shape="AllProperties")).texts("Value") == []
    assert (await exchange.get(identifier, paths=named("B"))).texts("Value") == ["2"]
    assert (await exchange.get(identifier, paths=named("b"))).texts("Value") == []


async def test_an_extended_property_is_named_by_a_set_and_a_name_or_by_a_tag(exchange: Exchange) -> None:
    wrong = (
        '<t:ExtendedFieldURI PropertyName="A" PropertyType="String"/>',
        '<t:ExtendedFieldURI PropertyTag="0x3001" PropertyName="A" PropertyType="String"/>',
    )
    for path in wrong:
        item = lecture(more=f"<t:ExtendedProperty>{path}<t:Value>1</t:Value></t:ExtendedProperty>")
        assert (await exchange.create(item)).codes == ["ErrorInvalidExtendedProperty"]


async def test_the_items_of_a_batch_have_their_own_answers(exchange: Exchange) -> None:
    backwards = "<t:Start>2026-09-02T09:00:00Z</t:Start><t:End>2026-09-01T09:00:00Z</t:End>"
    answer = await exchange.create(lecture("a"), backwards, lecture("c"))
    assert answer.codes == ["NoError", "ErrorCalendarEndDateIsEarlierThanStartDate", "NoError"]
    assert (await exchange.find(shape="Default")).texts("Subject") == ["a", "c"]
    assert exchange.state.stats.operations["ews", "create"] == 2
    assert exchange.state.stats.requests["ews", "CreateItem"] == 1


async def test_create_update_and_delete_have_to_say_whether_mails_are_sent(exchange: Exchange) -> None:
    made = (await exchange.create(lecture())).ids[0]
    subject = set_field(uri("item:Subject"), "<t:Subject>x</t:Subject>")
    assert (await exchange.create(lecture(), send=None)).codes == ["ErrorSendMeetingInvitationsRequired"]
    assert (await exchange.update(made, subject, send=None)).codes == [
        "ErrorSendMeetingInvitationsOrCancellationsRequired"
    ]
    assert (await exchange.delete(made[0], send=None)).codes == ["ErrorSendMeetingCancellationsRequired"]
    assert (await exchange.find(shape="Default")).texts("Subject") == ["Lecture"]


@pytest.mark.parametrize(("sending", "mails"), [("SendToNone", 0), ("SendOnlyToAll", 2)])
async def test_mails_to_attendees_are_counted(exchange: Exchange, sending: str, mails: int) -> None:
    attendee = (
        "<t:Attendee><t:Mailbox><t:EmailAddress>{}@uni.example</t:EmailAddress></t:Mailbox></t:Attendee>"
    )
    attendees = f"<t:RequiredAttendees>{attendee.format('bob')}{attendee.format('eve')}</t:RequiredAttendees>"
    made = await exchange.create(lecture(after=attendees), send=sending)
    assert made.codes == ["NoError"]
    assert exchange.state.stats.operations["ews", "mail"] == mails
    found = await exchange.get(made.ids[0][0], shape="AllProperties")
    assert found.texts("IsMeeting") == ["true"]
    assert "bob@uni.example" in found.texts("EmailAddress")


@pytest.mark.parametrize(
    "content",
    [
        '<t:ItemId Id="AAA="/><t:Subject>x</t:Subject>',
        "<t:DateTimeCreated>2026-01-01T00:00:00Z</t:DateTimeCreated>",
        "<t:Size>5</t:Size>",
        "<t:IsCancelled>true</t:IsCancelled>",
    ],
)
async def test_properties_that_the_server_keeps_cannot_be_set(exchange: Exchange, content: str) -> None:
    assert (await exchange.create(content)).codes == ["ErrorInvalidPropertySet"]
    assert (await exchange.find()).ids == []


@pytest.mark.parametrize(("length", "code"), [(255, "NoError"), (256, "ErrorInvalidPropertySet")])
async def test_a_subject_has_255_characters(exchange: Exchange, length: int, code: str) -> None:
    assert (await exchange.create(lecture("x" * length))).codes == [code]


async def test_a_reminder_is_set_unless_the_client_says_otherwise(exchange: Exchange) -> None:
    made = await exchange.create(lecture())
    found = await exchange.get(made.ids[0][0], shape="AllProperties")
    assert found.texts("ReminderIsSet") == ["true"]
    assert found.texts("ReminderMinutesBeforeStart") == ["15"]


async def test_a_reminder_can_be_taken_away(exchange: Exchange) -> None:
    made = await exchange.create(lecture())
    await exchange.update(made.ids[0], f"<t:DeleteItemField>{uri('item:ReminderIsSet')}</t:DeleteItemField>")
    assert (await exchange.get(made.ids[0][0], shape="AllProperties")).texts("ReminderIsSet") == ["false"]


@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        ("0001-01-01", "2026-09-01", "ErrorCalendarOutOfRange"),
        ("2026-09-01", "9999-12-31", "ErrorCalendarOutOfRange"),
        ("2026-09-01", "2032-09-01", "ErrorCalendarDurationIsTooLong"),
    ],
)
async def test_times_that_no_calendar_holds(exchange: Exchange, start: str, end: str, code: str) -> None:
    times = f"<t:Start>{start}T00:00:00Z</t:Start><t:End>{end}T00:00:00Z</t:End>"
    assert (await exchange.create(times)).codes == [code]


# Times


async def test_a_time_without_an_offset_is_read_in_the_items_zone(exchange: Exchange) -> None:
    times = "<t:Start>2026-01-05T09:00:00</t:Start><t:End>2026-01-05T10:00:00</t:End>"
    made = await exchange.create(times + BERLIN)
    assert (await exchange.get(made.ids[0][0], shape="Default")).texts("Start") == ["2026-01-05T08:00:00Z"]


async def test_or_else_in_the_zone_of_the_request(exchange: Exchange) -> None:
    times = "<t:Start>2026-07-05T09:00:00</t:Start><t:End>2026-07-05T10:00:00</t:End>"
    header = impersonating(ALICE) + in_zone("Pacific Standard Time")
    made = await exchange.create(times, header=header)
    found = await exchange.get(made.ids[0][0], shape="AllProperties")
    assert found.texts("Start") == ["2026-07-05T16:00:00Z"]
    assert found.find(".//t:StartTimeZone").get("Id") == "Pacific Standard Time"


async def test_an_unknown_zone_is_refused(exchange: Exchange) -> None:
    made = await exchange.create(lecture(after='<t:StartTimeZone Id="Europe/Amsterdam"/>'))
    assert made.codes == ["ErrorTimeZone"]


async def test_an_all_day_event_runs_from_midnight_to_midnight_in_its_zone(exchange: Exchange) -> None:
    made = await exchange.create(
        "<t:Start>2026-03-29T09:00:00+02:00</t:Start><t:End>2026-03-30T01:00:00+02:00</t:End>"
        "<t:IsAllDayEvent>true</t:IsAllDayEvent>" + BERLIN
    )
    found = await exchange.get(made.ids[0][0], shape="Default")
    # The day on which summer time begins has 23 hours, the one after it 24.
    assert found.texts("Start") == ["2026-03-28T23:00:00Z"]
    assert found.texts("End") == ["2026-03-30T22:00:00Z"]


# Versions


async def test_every_update_makes_a_new_change_key_and_keeps_the_id(exchange: Exchange) -> None:
    first = (await exchange.create(lecture())).ids[0]
    second = (await exchange.update(first, set_field(uri("item:Subject"), "<t:Subject>x</t:Subject>"))).ids[0]
    assert second[0] == first[0]
    assert second[1] != first[1]
    assert (await exchange.get(first[0])).ids == [second]


@pytest.mark.parametrize(
    ("resolution", "known", "code"),
    [
        ("NeverOverwrite", "stale", "ErrorIrresolvableConflict"),
        ("AutoResolve", "stale", "ErrorIrresolvableConflict"),
        ("AlwaysOverwrite", "stale", "NoError"),
        ("AlwaysOverwrite", "none", "NoError"),
        ("NeverOverwrite", "none", "ErrorChangeKeyRequired"),
        ("AutoResolve", "none", "ErrorChangeKeyRequired"),
        ("AutoResolve", "wrong", "ErrorInvalidChangeKey"),
        ("NeverOverwrite", "current", "NoError"),
    ],
)
async def test_who_may_overwrite(exchange: Exchange, resolution: str, known: str, code: str) -> None:
    first = (await exchange.create(lecture())).ids[0]
    current = (await exchange.update(first, set_field(uri("item:Subject"), "<t:Subject>x</t:Subject>"))).ids[
        0
    ]
    key = {"stale": first[1], "none": None, "wrong": "AAAA", "current": current[1]}[known]
    mine = set_field(uri("item:Subject"), "<t:Subject>mine</t:Subject>")
    assert (await exchange.update((first[0], key), mine, resolution=resolution)).codes == [code]
    subject = "mine" if code == "NoError" else "x"
    assert (await exchange.get(first[0], shape="Default")).texts("Subject") == [subject]


async def test_auto_resolve_merges_changes_of_different_properties(exchange: Exchange) -> None:
    first = (await exchange.create(lecture())).ids[0]
    await exchange.update(first, set_field(uri("item:Subject"), "<t:Subject>theirs</t:Subject>"))
    merged = await exchange.update(
        first, set_field(uri("calendar:Location"), "<t:Location>mine</t:Location>")
    )
    assert merged.codes == ["NoError"]
    found = await exchange.get(first[0], shape="Default")
    assert (found.texts("Subject"), found.texts("Location")) == (["theirs"], ["mine"])


# Updates


async def test_an_update_touches_the_named_properties_only(exchange: Exchange) -> None:
    made = await exchange.create(
        lecture(
            more="<t:Sensitivity>Private</t:Sensitivity>"
            '<t:Body BodyType="HTML">&lt;p&gt;my &lt;b&gt;notes&lt;/b&gt;&lt;/p&gt;</t:Body>'
            "<t:Categories><t:String>mine</t:String></t:Categories><t:Importance>High</t:Importance>"
            "<t:ReminderIsSet>true</t:ReminderIsSet>"
            "<t:ReminderMinutesBeforeStart>45</t:ReminderMinutesBeforeStart>" + prop("Theirs", "  kept  "),
            after="<t:LegacyFreeBusyStatus>OOF</t:LegacyFreeBusyStatus>",
        )
    )
    (native,) = exchange.state.mailbox("ews", ALICE).events.values()  # type: ignore[union-attr]
    before = {**native["fields"]}, {**native["extended"]}

    updated = await exchange.update(
        made.ids[0], set_field(uri("calendar:Location"), "<t:Location>Elsewhere</t:Location>")
    )

    assert updated.codes == ["NoError"]
    (native,) = exchange.state.mailbox("ews", ALICE).events.values()  # type: ignore[union-attr]
    assert native["fields"] == before[0] | {"calendar:Location": "Elsewhere"}
    assert native["extended"] == before[1]


async def test_fields_are_set_deleted_and_appended_to(exchange: Exchange) -> None:
    made = await exchange.create(
        lecture(
            more='<t:Body BodyType="Text">one</t:Body>' + prop("A", "1"), after="<t:Location>R</t:Location>"
        )
    )
    updated = await exchange.update(
        made.ids[0],
        set_field(named("B"), prop("B", "2")),
        f"<t:DeleteItemField>{named('A')}</t:DeleteItemField>",
        f"<t:DeleteItemField>{uri('calendar:Location')}</t:DeleteItemField>",
        f"<t:AppendToItemField>{uri('item:Body')}<t:CalendarItem>"
        '<t:Body BodyType="Text"> two</t:Body></t:CalendarItem></t:AppendToItemField>',
    )
    assert updated.codes == ["NoError"]
    found = await exchange.get(made.ids[0][0], shape="AllProperties", paths=named("A") + named("B"))
    assert found.texts("Value") == ["2"]
    assert found.texts("Location") == []
    assert found.texts("Body") == ["one two"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (set_field(uri("item:Subject"), "<t:Location>x</t:Location>"), "ErrorUpdatePropertyMismatch"),
        (
            set_field(uri("item:Subject"), "<t:Subject>x</t:Subject><t:Location>x</t:Location>"),
            "ErrorUpdatePropertyMismatch",
        ),
        (set_field(uri("item:Subject"), ""), "ErrorIncorrectUpdatePropertyCount"),
        (set_field(named("A"), prop("B", "1")), "ErrorUpdatePropertyMismatch"),
        (set_field(uri("item:Size"), "<t:Size>1</t:Size>"), "ErrorInvalidPropertySet"),
        (f"<t:DeleteItemField>{uri('calendar:Start')}</t:DeleteItemField>", "ErrorInvalidPropertyDelete"),
        (
            f"<t:AppendToItemField>{uri('item:Subject')}<t:CalendarItem><t:Subject>x</t:Subject>"
            "</t:CalendarItem></t:AppendToItemField>",
            "ErrorInvalidPropertyAppend",
        ),
        (
            set_field(uri("calendar:End"), "<t:End>2026-08-01T00:00:00Z</t:End>"),
            "ErrorCalendarEndDateIsEarlierThanStartDate",
        ),
    ],
)
async def test_a_refused_update_changes_nothing(exchange: Exchange, change: str, code: str) -> None:
    made = (await exchange.create(lecture())).ids[0]
    good = set_field(uri("calendar:Location"), "<t:Location>new</t:Location>")
    assert (await exchange.update(made, good, change)).codes == [code]
    found = await exchange.get(made[0], shape="Default")
    assert (found.texts("Location"), found.ids) == ([], [made])


# Bodies


@pytest.mark.parametrize(
    ("body_type", "text"),
    [
        ("Best", "a < b\nc"),
        ("Text", "a < b\nc"),
        ("HTML", '<html>\n<body>\n<div class="PlainText">a &lt; b<br>\nc</div>\n</body>\n</html>\n'),
    ],
)
async def test_a_text_body_comes_back_as_the_client_asks(
    exchange: Exchange, body_type: str, text: str
) -> None:
    made = await exchange.create(lecture(more='<t:Body BodyType="Text">a &lt; b\nc</t:Body>'))
    found = await exchange.get(made.ids[0][0], paths=uri("item:Body"), body_type=body_type)
    assert found.texts("Body") == [text]
    assert found.find(".//t:Body").get("BodyType") == ("Text" if body_type == "Best" else body_type)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a &amp; <i>b</i></p>", "a & b"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<div>a</div><div>b</div>\n<div><br></div><div>c</div>", "a\nb\n\nc"),
        ("<html><head><style>p {}</style></head><body><p>a\n b</p>\n<p>c</p></body></html>", "a b\n\nc"),
        ("<ul><li>a</li><li>b</li></ul>", "a\nb"),
        ("<!-- nothing -->a<script>b</script>c", "ac"),
        ("", ""),
    ],
)
async def test_an_html_body_can_be_read_as_text(exchange: Exchange, html: str, text: str) -> None:
    made = await exchange.create(lecture(more=f'<t:Body BodyType="HTML">{escape(html)}</t:Body>'))
    found = await exchange.get(made.ids[0][0], paths=uri("item:Body"), body_type="Text")
    assert "".join(found.texts("Body")) == text


async def test_a_text_body_is_the_same_text_after_it_was_html(exchange: Exchange) -> None:
    text = "One\n\nTwo < 3\n- four"
    made = await exchange.create(lecture(more=f'<t:Body BodyType="Text">{escape(text)}</t:Body>'))
    (html,) = (await exchange.get(made.ids[0][0], paths=uri("item:Body"), body_type="HTML")).texts("Body")
    again = await exchange.create(lecture(more=f'<t:Body BodyType="HTML">{escape(html)}</t:Body>'))
    found = await exchange.get(again.ids[0][0], paths=uri("item:Body"), body_type="Text")
    assert found.texts("Body") == [text]


# Ids and deleting


async def test_ids_are_opaque_and_case_sensitive(exchange: Exchange) -> None:
    identifier = (await exchange.create(lecture())).ids[0][0]
    answer = await exchange.get(identifier.swapcase(), identifier[:-8], "not base64!", "")
    assert answer.codes == ["ErrorInvalidIdMalformed"] * 3 + ["ErrorInvalidIdEmpty"]


async def test_a_deleted_item_is_not_found_and_others_stay(exchange: Exchange) -> None:
    first, second = (await exchange.create(lecture("a"), lecture("b"))).ids
    assert (await exchange.delete(first[0])).codes == ["NoError"]
    assert (await exchange.delete(first[0], second[0])).codes == ["ErrorItemNotFound", "NoError"]
    gone = set_field(uri("item:Subject"), "<t:Subject>x</t:Subject>")
    assert (await exchange.update(first, gone)).codes == ["ErrorItemNotFound"]
    assert (await exchange.get(first[0])).codes == ["ErrorItemNotFound"]
    assert exchange.state.stats.operations["ews", "delete"] == 2


async def test_an_item_that_moves_to_the_deleted_items_gets_another_id(exchange: Exchange) -> None:
    made = (await exchange.create(lecture())).ids[0]
    assert (await exchange.delete(made[0], kind="MoveToDeletedItems")).codes == ["NoError"]
    assert (await exchange.get(made[0])).codes == ["ErrorItemNotFound"]
    bin_ = await exchange.find(folder='<t:DistinguishedFolderId Id="deleteditems"/>', shape="Default")
    assert bin_.texts("Subject") == ["Lecture"]
    assert bin_.ids[0][0] != made[0]


@pytest.mark.parametrize(("operation", "left"), [("CopyItem", 2), ("MoveItem", 1)])
async def test_items_are_copied_and_moved(exchange: Exchange, operation: str, left: int) -> None:
    made = (await exchange.create(lecture(more=prop("A", "1")))).ids[0]
    answer = await exchange.call(
        f'<m:{operation}><m:ToFolderId><t:DistinguishedFolderId Id="calendar"/></m:ToFolderId>'
        f'<m:ItemIds><t:ItemId Id="{made[0]}"/></m:ItemIds></m:{operation}>'
    )
    assert answer.codes == ["NoError"]
    assert answer.ids[0][0] != made[0]
    assert (await exchange.find(paths=named("A"))).texts("Value") == ["1"] * left


async def test_a_mailbox_made_anew_never_gives_out_an_old_id(exchange: Exchange) -> None:
    old = (await exchange.create(lecture())).ids[0]
    exchange.state.remove_mailbox("ews", ALICE)
    exchange.state.add_mailbox("ews", ALICE)
    assert (await exchange.create(lecture())).ids[0][0] != old[0]
    assert (await exchange.get(old[0])).codes == ["ErrorItemNotFound"]
