"""Which addresses are public."""

from __future__ import annotations

import pytest

from channels.addresses import is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "2001:db8::1",
        "2001::1",
        "4000::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
    ],
)
def test_an_address_off_the_open_internet_is_not_public(address: str) -> None:
    """Private, loopback, link-local, reserved and multicast addresses are not public, whatever they are wrapped in."""

    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:4700::1111", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e", "2002:5db8:d70e::"]
)
def test_an_address_on_the_open_internet_is_public(address: str) -> None:
    """Public addresses are public, wrapped into IPv6 too."""

    assert is_public(address)


def test_a_name_is_not_an_address() -> None:
    """A host name is told apart, so that the resolver can look at it."""

    with pytest.raises(ValueError, match="localhost"):
        is_public("localhost")
