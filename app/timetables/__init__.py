"""Timetables: what people publish, checked, stored, and given out again."""
