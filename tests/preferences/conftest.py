"""Preferences over the API, as its own tests call it."""

from tests.api.conftest import alice, anonymous, app, client, config, ews, o365, synchronization, tokens

__all__ = ["alice", "anonymous", "app", "client", "config", "ews", "o365", "synchronization", "tokens"]
