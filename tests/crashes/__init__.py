"""Kills workers at every step of their work, and compares mailboxes, ledger and timetables afterwards.

``python -m tests.crashes --help``. The product has no hooks for this: what a worker is given (connections,
adapters) is wrapped so that it tells which step it has come to, and the process kills itself there.
"""
