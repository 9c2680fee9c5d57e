"""Which addresses a source may have."""

from ipaddress import ip_network

import pytest

from app.sources.addresses import may_connect

PUBLIC = ["8.8.8.8", "2a00:1450:400e::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
NOT_PUBLIC = {
    "loopback": ["127.0.0.1", "127.255.0.9", "::1"],
    "private": ["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fdff::1", "fec0::1"],
    "link-local": ["169.254.169.254", "fe80::1", "fe80::1%eth0"],
    "shared (CGNAT)": ["100.64.0.1", "100.127.255.255"],
    "this host": ["0.0.0.0", "0.1.2.3", "::"],
    "multicast and broadcast": ["224.0.0.1", "239.1.1.1", "255.255.255.255", "ff02::1"],
    "reserved": ["240.0.0.1", "4000::1", "5f00::1"],
    "documentation and tests": [
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "2001:db8::1",
        "3fff::1",
    ],
    "protocol assignments": ["192.0.0.8", "192.88.99.1", "100::1"],
    "IPv4 in IPv6": ["::ffff:10.0.0.1", "::ffff:127.0.0.1", "::10.0.0.1"],
    "NAT64": ["64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1"],
    "6to4 and Teredo": ["2002:a00:1::1", "2002:7f00:1::1", "2001:0:a00:1::1"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_connected_to(address: str) -> None:
    assert may_connect(address, ())


@pytest.mark.parametrize(
    "address", [pytest.param(a, id=f"{kind}: {a}") for kind, them in NOT_PUBLIC.items() for a in them]
)
def test_any_other_address_may_not(address: str) -> None:
    assert not may_connect(address, ())


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.20.3.4", True),
        ("10.21.3.4", False),
        ("::ffff:10.20.3.4", True),
        ("::ffff:10.21.3.4", False),
        ("64:ff9b::a14:304", True),
        ("fd00:20::1", True),
        ("fd00:21::1", False),
        ("8.8.8.8", True),
    ],
)
def test_an_allowed_network_is_allowed_and_no_other(address: str, expected: bool) -> None:
    allowed = (ip_network("10.20.0.0/16"), ip_network("fd00:20::/32"))
    assert may_connect(address, allowed) is expected
