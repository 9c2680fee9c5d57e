"""Preferences: what a calendar should look like, and at which level that is decided."""
