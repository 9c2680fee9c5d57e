"""Rooster: the service between a university's timetable and people's calendars."""
