"""Which network addresses a message of ours may be sent to: those of the public internet, and no others.

A server that sends to addresses which somebody else chose could otherwise be made to talk to its own network.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

#: Networks whose addresses carry an IPv4 address in their last 32 bits: translators would reach that one.
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96"))
#: Of protocols' own use; older Pythons know only some of its addresses.
_PROTOCOLS = IPv4Network("192.0.0.0/24")
_SIX_TO_FOUR = IPv6Network("2002::/16")


def is_public(text: str) -> bool:
    """Whether this numeric address is one of the public internet; False for what is no address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(map(_is_global, _meant(address)))


def is_surely_private(host: str) -> bool:
    """Whether this host can be refused without asking what its name leads to: localhost, or a numeric address that
    is not public."""
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return not is_public(host)


def is_loopback(text: str) -> bool:
    """Whether this numeric address is this machine itself."""
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False


def _meant(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address, and every other one that it may lead to."""
    meant = [address]
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            meant = [address.ipv4_mapped]
        elif any(address in network for network in _TRANSLATED):
            meant.append(IPv4Address(int(address) & 0xFFFFFFFF))
        elif address in _SIX_TO_FOUR:
            meant.append(IPv4Address(int(address) >> 80 & 0xFFFFFFFF))
    return meant


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    if address in _PROTOCOLS:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
