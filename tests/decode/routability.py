"""Return routability computed anew from packets, by the formulas of RFC 6275 §5.2 and §6.2.7.

Nothing of mcoa is used here: headers are read octet by octet, checksums are scapy's, keys and
marks are hashlib's.
"""

import hmac
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha1

from scapy.layers.inet6 import IPv6, in6_chksum

HOME_TEST, CARE_OF_TEST, UPDATE, ACKNOWLEDGEMENT = 3, 4, 5, 6
_MOBILITY = 135
_FIXED = {HOME_TEST: 24, CARE_OF_TEST: 24, UPDATE: 12, ACKNOWLEDGEMENT: 12}


@dataclass(frozen=True, kw_only=True)
class Header:
    """A Mobility Header; the addresses are those of the innermost IPv6 header before it.

    `home` is what a Home Address option or a type 2 routing header says, else empty.
    """

    source: bytes
    destination: bytes
    home: bytes
    routed: bool
    octets: bytes

    @property
    def type(self) -> int:
        return self.octets[2]

    def options(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        at = _FIXED[self.type]
        while at < len(self.octets):
            kind = self.octets[at]
            if kind == 0:
                at += 1
                continue
            size = self.octets[at + 1]
            found.setdefault(kind, self.octets[at + 2 : at + 2 + size])
            at += 2 + size
        return found


@dataclass(kw_only=True)
class Verdict:
    """What was computed anew, and what came out otherwise."""

    tokens: int = 0
    marks: dict[int, int] = field(default_factory=dict)
    checksums: int = 0
    faults: list[str] = field(default_factory=list)


def headers(packets: Iterable[bytes]) -> Iterator[Header]:
    """Yield the Mobility Headers of packets, in tunnels too."""
    for packet in packets:
        found = _header(packet)
        if found is not None:
            yield found


def _header(packet: bytes) -> Header | None:
    source, destination, home, routed = packet[8:24], packet[24:40], b"", False
    protocol, at = packet[6], 40
    while True:
        if protocol == 41:
            return _header(packet[at:])
        if protocol == 60:
            if packet[at + 6] == 201:
                home = packet[at + 8 : at + 24]
        elif protocol == 43:
            home, routed = packet[at + 8 : at + 24], True
        elif protocol == _MOBILITY:
            octets = packet[at : at + 8 + 8 * packet[at + 1]]
            return Header(
                source=source, destination=destination, home=home, routed=routed, octets=octets
            )
        else:
            return None
        protocol, at = packet[at], at + 8 + 8 * packet[at + 1]


def judge(
    packets: Iterable[bytes],
    correspondent: bytes,
    *,
    node_key: bytes = b"",
    nonces: Mapping[int, bytes] | None = None,
) -> Verdict:
    """Compute all that can be computed anew of the packets of one correspondent.

    Without its node key, tokens are taken from its tests as they are.
    """
    judging = _Judge(correspondent, node_key, nonces)
    for header in headers(packets):
        if correspondent in (header.source, header.destination):
            judging.look_at(header)
    return judging.verdict


class _Judge:
    def __init__(
        self, correspondent: bytes, node_key: bytes, nonces: Mapping[int, bytes] | None
    ) -> None:
        self.verdict = Verdict()
        self._correspondent = correspondent
        self._node_key = node_key
        self._nonces = nonces
        self._tokens: dict[tuple[int, bytes, int], bytes] = {}
        self._bound: dict[int, bytes] = {}
        self._keys: dict[int, tuple[bytes, bytes]] = {}

    def look_at(self, header: Header) -> None:
        _check_sum(header, self.verdict)
        if header.type in (HOME_TEST, CARE_OF_TEST):
            self._test(header)
        elif header.type == UPDATE:
            self._update(header)
        elif header.type == ACKNOWLEDGEMENT:
            (sequence,) = struct.unpack_from("!H", header.octets, 8)
            if 5 in header.options() and sequence in self._keys:
                self._check_mark(header, *self._keys[sequence])

    def _test(self, header: Header) -> None:
        (index,) = struct.unpack_from("!H", header.octets, 6)
        token = header.octets[16:24]
        self._tokens[header.type, header.destination, index] = token
        if self._nonces is None:
            return
        end = b"\0" if header.type == HOME_TEST else b"\1"
        data = header.destination + self._nonces[index] + end
        self.verdict.tokens += 1
        if hmac.new(self._node_key, data, sha1).digest()[:8] != token:
            self.verdict.faults.append(f"token of {header.destination.hex()}")

    def _update(self, header: Header) -> None:
        sequence, _, lifetime = struct.unpack_from("!HHH", header.octets, 6)
        options = header.options()
        home_index, care_of_index = struct.unpack("!HH", options[4])
        home = header.home or header.source
        key_input = self._tokens[HOME_TEST, home, home_index]
        proven = home
        if lifetime:
            proven = self._care_of(header, options)
            key_input += self._tokens[CARE_OF_TEST, proven, care_of_index]
        key = sha1(key_input).digest()  # noqa: S324 - so says the RFC
        self._keys[sequence] = key, proven
        self._check_mark(header, key, proven)

    def _care_of(self, header: Header, options: Mapping[int, bytes]) -> bytes:
        if 35 not in options:
            return header.source
        bid = int.from_bytes(options[35][:2])
        self._bound[bid] = options[35][4:] or self._bound.get(bid, header.source)
        return self._bound[bid]

    def _check_mark(self, header: Header, key: bytes, proven: bytes) -> None:
        octets, mark = header.octets, header.options()[5]
        if not octets.endswith(mark):
            self.verdict.faults.append("the mark does not end its message")
        data = proven + self._correspondent + octets[:4] + bytes(2) + octets[6:-12]
        self.verdict.marks[header.type] = self.verdict.marks.get(header.type, 0) + 1
        if hmac.new(key, data, sha1).digest()[:12] != mark:
            self.verdict.faults.append(f"mark of type {header.type}, {octets.hex()}")


def _check_sum(header: Header, verdict: Verdict) -> None:
    source, destination = header.source, header.destination
    if header.home:
        source = source if header.routed else header.home
        destination = header.home if header.routed else destination
    blank = header.octets[:4] + bytes(2) + header.octets[6:]
    base = IPv6(src=_text(source), dst=_text(destination))
    verdict.checksums += 1
    if in6_chksum(_MOBILITY, base, blank) != int.from_bytes(header.octets[4:6]):
        verdict.faults.append(f"checksum of type {header.type}")


def _text(address: bytes) -> str:
    return ":".join(address[at : at + 2].hex() for at in range(0, 16, 2))
