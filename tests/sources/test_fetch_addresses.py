"""Which addresses a source may have."""

from ipaddress import ip_network

import pytest

from app.sources.addresses import may_connect

PUBLIC = [
    "8.8.8.8",
    "168.63.129.17",
    "2a00:1450:400e::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
]
NOT_PUBLIC = {
    "loopback": ["127.0.0.1", "127.255.0.9", "::1"],
    "private": ["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fdff::1", "fec0::1"],
    "link-local": ["169.254.0.1", "169.254.255.254", "fe80::1", "fe80::1%eth0"],
    "shared (CGNAT)": ["100.64.0.1", "100.127.255.255"],
    "metadata of Amazon, Google, Azure, Oracle": ["169.254.169.254", "169.254.169.253", "fd00:ec2::254"],
    "metadata of containers at Amazon": ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"],
    "metadata of Alibaba, and of Google by IPv6": ["100.100.100.200", "fd20:ce::254"],
    "Azure's wire server": [
        "168.63.129.16",
        "::ffff:168.63.129.16",
        "::168.63.129.16",
        "64:ff9b::a83f:8110",
        "2002:a83f:8110::1",
    ],
    "this host": ["0.0.0.0", "0.1.2.3", "::"],
    "multicast and broadcast": ["224.0.0.1", "239.1.1.1", "255.255.255.255", "ff02::1"],
    "reserved": ["240.0.0.1", "4000::1", "5f00::1"],
    "documentation and tests": [
        "192.0.2.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "2001:db8::1",
        "3fff::1",
    ],
    "protocol assignments": ["192.0.0.1", "192.0.0.192", "192.0.0.255", "192.88.99.1", "100::1"],
    "IPv4 in IPv6": [
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:100.64.0.1",
        "::ffff:198.18.0.1",
        "::ffff:0:10.0.0.1",
        "::10.0.0.1",
    ],
    "NAT64": [
        "64:ff9b::a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::6440:1",
        "64:ff9b:1::a00:1",
    ],
    "6to4 and Teredo": [
        "2002:a00:1::1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "2001:0:a00:1::1",
        "2001:0:808:808:0:0:f5ff:fffe",
    ],
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
