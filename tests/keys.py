"""Private keys, loaded without OpenSSL's test of their primes.

That takes 40 ms of CPU for an RSA key of 2048 bits, each time that an adapter connects: minutes in all tests
together. Nothing is lost: the sandbox has made the keys a moment before, by the same OpenSSL. Commands that
the tests start as processes of their own load keys as they always do.
"""

from functools import partial

from cryptography.hazmat.primitives import serialization

__all__ = ["trust_private_keys"]

_load = serialization.load_pem_private_key


def trust_private_keys() -> None:
    """From now on, no private key (PEM) that this process loads is tested."""
    serialization.load_pem_private_key = partial(_load, unsafe_skip_rsa_key_validation=True)
