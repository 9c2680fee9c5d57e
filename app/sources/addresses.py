"""Which addresses a source may have: public ones, and those that the configuration allows.

A source's address is given by whoever makes a job or an account, and the answer of a server can send us on
to another. Neither may make Rooster a way into the network that it runs in (server-side request forgery).
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

__all__ = ["Network", "may_connect"]

Network = IPv4Network | IPv6Network

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA has given out as global unicast so far (RFC 4291 section 2.4)."""
NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 addresses behind a translator, in the last 32 bits (RFC 6052 section 2.1)."""
ASSIGNED = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv6Network("3fff::/20"))
"""Protocol assignments (RFC 6890), relays of 6to4 (RFC 7526), documentation (RFC 9637): not all versions of
Python know that they are not public."""
PLATFORM = (IPv4Network("168.63.129.16/32"),)
"""Public by their number, and yet the inside of a cloud: Azure's wire server, which hands out a machine's
extensions and certificates (https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16).
Other clouds' metadata is at link-local, shared or unique local addresses."""
COMPATIBLE = IPv6Network("::/96")
"""IPv4-compatible addresses (RFC 4291 section 2.5.5.1), done away with and still routed by some systems."""


def may_connect(address: str, allowed: Sequence[Network]) -> bool:
    """Whether a connection to this numeric address is allowed. A zone of an IPv6 address is ignored.

    Refused unless ``allowed`` holds it: private, shared (CGNAT, RFC 6598), loopback, link-local, multicast,
    reserved and documentation addresses, those of a cloud's own inside, and IPv6 ones that lead to such an
    IPv4 address.
    """
    given = ip_address(address.partition("%")[0])
    if any(given in network for network in allowed if network.version == given.version):
        return True
    if isinstance(given, IPv4Address):
        return _is_public(given)
    inner = _inner(given)
    if inner is not None:
        return may_connect(str(inner), allowed)
    return given in GLOBAL_UNICAST and _is_public(given)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if any(address in network for network in (*ASSIGNED, *PLATFORM) if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address to which packets for this IPv6 address go in the end, if there is one."""
    if address in NAT64 or (address in COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
