"""A sandbox that speaks the protocols of all three providers, over TLS, on the loopback.

It is held to the vendors' schemas and client libraries, never to what our adapters happen to send.
"""
