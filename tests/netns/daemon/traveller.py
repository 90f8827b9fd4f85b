"""A mobile node made by hand: it proves its addresses to a correspondent, and talks to it.

It is not one of mcoa's: what it signs is computed here, with hashlib.
"""

import hmac
import select
import struct
from collections.abc import Iterator
from hashlib import sha1
from ipaddress import IPv6Address
from typing import TypeVar

from mcoa.lab.capture import ETHERNET_OCTETS, PACKET_OUTGOING, Tap, open_tap
from mcoa.lab.namespaces import Namespace
from mcoa.runtime.sockets import PacketSender, endpoint
from mcoa.wire.icmpv6 import ICMPV6, EchoRequest, emit_icmpv6
from mcoa.wire.ipv6 import MOBILITY_HEADER, Ipv6Packet, emit_packet, parse_packet
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    HomeTest,
    HomeTestInit,
    Message,
    decode_message,
    emit_message,
)
from mcoa.wire.options import BindingAuthorizationData, BindingIdentifier, NonceIndices
from mcoa.wire.reader import ParseError
from mcoa.wire.registry import UpdateFlag

AnswerT = TypeVar("AnswerT", HomeTest, CareOfTest, BindingAcknowledgement)

_PATIENCE_S = 5.0
_ROUTING, _ECHO_REPLY = 43, 129


class Traveller:
    """Both its addresses are on the interface of a namespace."""

    def __init__(
        self, place: Namespace, home: IPv6Address, care_of: IPv6Address, peer: IPv6Address
    ) -> None:
        self._home, self._care_of, self._peer = home, care_of, peer
        self._sequence = 0
        self._sender = place.call(PacketSender)
        self._tap = open_tap(Tap(namespace=place.path, interface="eth0", label="traveller"))

    def close(self) -> None:
        self._sender.close()
        self._tap.close()

    def bind(self, bid: int) -> int:
        """Prove both addresses and register; returns the status."""
        self._sequence += 1
        home = self._ask(HomeTestInit(cookie=b"homehome"), self._home, HomeTest)
        care_of = self._ask(CareOfTestInit(cookie=b"carecare"), self._care_of, CareOfTest)
        key = sha1(home.token + care_of.token, usedforsecurity=False).digest()
        identifier = BindingIdentifier(bid=bid, care_of_address=self._care_of)
        indices = NonceIndices(home=home.nonce_index, care_of=care_of.nonce_index)
        octets = bytes(12)
        for _ in range(2):  # the first time to know what is to be signed
            update = BindingUpdate(
                sequence=self._sequence,
                flags=UpdateFlag.ACKNOWLEDGE,
                lifetime_s=60,
                options=(identifier, indices, BindingAuthorizationData(authenticator=octets)),
            )
            header = emit_message(update, self._home.packed, self._peer.packed)
            data = (
                self._care_of.packed + self._peer.packed + header[:4] + bytes(2) + header[6:-12]
            )
            octets = hmac.new(key, data, sha1).digest()[:12]
        answer = self._ask(update, self._care_of, BindingAcknowledgement, home=self._home)
        return int(answer.status)

    def is_answered_directly(self) -> bool:
        """Send an echo request from away, and tell whether its answer comes straight."""
        request = EchoRequest(identifier=77, sequence=1, data=b"straight")
        packet = Ipv6Packet(
            source=self._care_of,
            destination=self._peer,
            protocol=ICMPV6,
            payload=emit_icmpv6(request, self._home.packed, self._peer.packed),
            home_address=self._home,
        )
        self._send(packet)
        return any(
            each[6] == _ROUTING
            and each[24:40] == self._care_of.packed
            and each[48:64] == self._home.packed
            and each[64] == _ECHO_REPLY
            for each in self._arrivals()
        )

    def _ask(
        self,
        message: Message,
        source: IPv6Address,
        answer: type[AnswerT],
        *,
        home: IPv6Address | None = None,
    ) -> AnswerT:
        covered = home or source
        packet = Ipv6Packet(
            source=source,
            destination=self._peer,
            protocol=MOBILITY_HEADER,
            payload=emit_message(message, covered.packed, self._peer.packed),
            home_address=home,
        )
        self._send(packet)
        for each in self._arrivals():
            try:
                parsed = parse_packet(each)
            except ParseError:
                continue
            if parsed.protocol != MOBILITY_HEADER or parsed.source != self._peer:
                continue
            # It may be a mobile node, and test us just as well.
            received = decode_message(parsed.payload)
            if isinstance(received, answer):
                return received
        raise AssertionError(f"no {answer.__name__}")

    def _send(self, packet: Ipv6Packet) -> None:
        assert self._sender.send(emit_packet(packet), endpoint(self._peer)) == 0

    def _arrivals(self) -> Iterator[bytes]:
        while select.select([self._tap], [], [], _PATIENCE_S)[0]:
            frame, address = self._tap.recvfrom(65535)
            if (
                address[2] != PACKET_OUTGOING
                and struct.unpack_from("!H", frame, 12)[0] == 0x86DD
            ):
                yield frame[ETHERNET_OCTETS:]
