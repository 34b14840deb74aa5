"""Does a text hold an address of a set? Addresses, CIDR blocks and ranges (logql.md §5.2)."""

import ipaddress
from dataclasses import dataclass

from narfi.core.errors import InvalidRequestError

_BITS = frozenset(str(bits) for bits in range(129))
"""How long a prefix is: neither a mask nor with leading zeros."""
_HEX = frozenset(b"0123456789abcdefABCDEF")
_DIGITS = frozenset(b"0123456789")
_V4 = frozenset(b"0123456789.")
_V6 = frozenset(b"0123456789abcdefABCDEF:.")


class IpPatternError(InvalidRequestError):
    """The argument of `ip(...)` is no address, block or range."""


@dataclass(frozen=True, slots=True)
class IpSet:
    """Addresses `low <= a <= high` of one version."""

    version: int
    low: int
    high: int

    def holds(self, text: str) -> bool:
        """Whether the text is an address of the set."""
        address = _parse(text)
        return (
            address is not None
            and address.version == self.version
            and self.low <= int(address) <= self.high
        )


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def compile_ip(pattern: str) -> IpSet:
    """The set that a pattern means; raises `IpPatternError`."""
    low, dash, high = pattern.partition("-")
    if dash:
        found = _range(_parse(low), _parse(high))
        if found is not None:
            return found
    elif "/" in pattern and pattern.partition("/")[2] in _BITS:
        try:
            network = ipaddress.ip_network(pattern, strict=False)
            return IpSet(
                network.version, int(network.network_address), int(network.broadcast_address)
            )
        except ValueError:
            pass
    else:
        single = _parse(pattern)
        if single is not None:
            return IpSet(single.version, int(single), int(single))
    raise IpPatternError(f'ip: invalid pattern: "{pattern}"')


def _range(
    first: ipaddress.IPv4Address | ipaddress.IPv6Address | None,
    last: ipaddress.IPv4Address | ipaddress.IPv6Address | None,
) -> IpSet | None:
    if first is None or last is None or first.version != last.version or int(first) > int(last):
        return None
    return IpSet(first.version, int(first), int(last))


def contains_ip(found: IpSet, line: bytes) -> bool:
    """Whether any address in the text belongs to the set."""
    at, end = 0, len(line)
    while at < end:
        runes = _run_kind(line, at)
        if runes is None:
            at += 1
            continue
        stop = at
        while stop < end and line[stop] in runes:
            stop += 1
        if found.holds(line[at:stop].decode("ascii")):
            return True
        at = stop
    return False


def _run_kind(line: bytes, at: int) -> frozenset[int] | None:
    """Which characters an address that may begin here consists of."""
    if len(line) - at >= 4 and line[at] in _DIGITS and b"." in line[at + 1 : at + 4]:
        return _V4
    if line[at : at + 2] == b"::" and at + 2 < len(line) and line[at + 2] in _HEX:
        return _V6
    for size in range(1, 5):
        if at + size >= len(line) or line[at + size - 1] not in _HEX:
            return None
        if line[at + size] == 0x3A:
            return _V6
    return None
