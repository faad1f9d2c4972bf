"""Network addresses as staff see them: enough to tell two places apart, not enough to find one."""

from __future__ import annotations

import ipaddress


def mask_address(address: str | None) -> str:
    """`203.0.113.9` → `203.0.*.*`, `2001:db8::7` → `2001:0db8:*`; what is no address is hidden whole."""
    try:
        read = ipaddress.ip_address(address or "")
    except ValueError:
        return "*" if address else ""
    if isinstance(read, ipaddress.IPv6Address) and read.ipv4_mapped is not None:
        read = read.ipv4_mapped
    if isinstance(read, ipaddress.IPv4Address):
        return ".".join(str(read).split(".")[:2]) + ".*.*"
    return ":".join(read.exploded.split(":")[:2]) + ":*"
