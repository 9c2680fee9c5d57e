"""exchangelib, unmodified, with calendars of the person's own, category lists and changes since a state."""

import asyncio

import pytest
from exchangelib.errors import ErrorFolderExists, ErrorInvalidSyncStateData, ErrorItemNotFound
from exchangelib.folders import Calendar as CalendarFolder
from exchangelib.items import SEND_TO_NONE

from tests.sandbox.ews.test_exchangelib import Mail, _registered, event, mail, sandbox

__all__ = ["_registered", "mail", "sandbox"]


async def test_a_calendar_is_made_renamed_filled_and_deleted(mail: Mail) -> None:
    def use() -> None:
        with mail.account() as account:
            made = CalendarFolder(parent=account.calendar, name="Sports").save()
            assert [folder.name for folder in account.calendar.children] == ["Sports"]
            with pytest.raises(ErrorFolderExists):
                CalendarFolder(parent=account.calendar, name="SPORTS").save()
            made.name = "Rowing"
            made.save(update_fields=["name"])
            event(account, folder=made).save(send_meeting_invitations=SEND_TO_NONE)
            made.refresh()
            assert (made.name, made.total_count) == ("Rowing", 1)
            assert account.calendar.all().count() == 0
            assert [item.subject for item in made.all()] == ["Lecture"]
            made.delete()
            account.root.clear_cache()
            assert [folder.name for folder in account.calendar.children] == []

    await asyncio.to_thread(use)


async def test_the_category_list_is_a_user_configuration(mail: Mail) -> None:
    document = (
        b'<categories default="" xmlns="CategoryList.xsd"><category name="Algebra" color="0"'
        b' keyboardShortcut="0" guid="{2B7FD7CB-6B2B-4E5B-9E3E-0F1C2D3E4F50}"/></categories>'
    )

    def use() -> None:
        with mail.account() as account:
            calendar = account.calendar
            with pytest.raises(ErrorItemNotFound):
                calendar.get_user_configuration("CategoryList")
            calendar.create_user_configuration("CategoryList", xml_data=document)
            assert calendar.get_user_configuration("CategoryList").xml_data == document
            calendar.update_user_configuration("CategoryList", xml_data=document.replace(b'"0"/', b'"1"/'))
            calendar.create_user_configuration("Notes", dictionary={"a": 1, "b": "c"})
            assert calendar.get_user_configuration("Notes").dictionary == {"a": 1, "b": "c"}
            calendar.delete_user_configuration("Notes")
            with pytest.raises(ErrorItemNotFound):
                calendar.get_user_configuration("Notes")

    await asyncio.to_thread(use)


async def test_changes_since_a_state(mail: Mail) -> None:
    def use() -> None:
        with mail.account() as account:
            first = event(account)
            first.save(send_meeting_invitations=SEND_TO_NONE)
            calendar = account.calendar
            assert [kind for kind, _ in calendar.sync_items()] == ["create"]
            first.subject = "Another"
            first.save(update_fields=["subject"], send_meeting_invitations=SEND_TO_NONE)
            second = event(account)
            second.save(send_meeting_invitations=SEND_TO_NONE)
            assert {
                kind: item.id for kind, item in calendar.sync_items(sync_state=calendar.item_sync_state)
            } == {
                "update": first.id,
                "create": second.id,
            }
            deleted = second.id
            second.delete(send_meeting_cancellations=SEND_TO_NONE)
            changed = list(calendar.sync_items(sync_state=calendar.item_sync_state))
            assert [(kind, item.id) for kind, item in changed] == [("delete", deleted)]
            with pytest.raises(ErrorInvalidSyncStateData):
                list(calendar.sync_items(sync_state="nonsense"))

    await asyncio.to_thread(use)
