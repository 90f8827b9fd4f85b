"""A correspondent on the bench, and a mobile node that computes everything by itself.

Tokens come from the correspondent's own tests; keys and authenticators are made here from the
formulas of RFC 6275 §5.2 and §6.2.7, with hashlib alone.
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha1
from ipaddress import IPv4Address, IPv6Address
from random import Random

from mcoa.engine.actions import Action, Envelope, Received, Report, Send
from mcoa.engine.correspondent_node import CorrespondentNode
from mcoa.engine.policy import CorrespondentPolicy
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    HomeTest,
    HomeTestInit,
    Message,
    emit_message,
)
from mcoa.wire.options import BindingAuthorizationData, BindingIdentifier, NonceIndices
from mcoa.wire.registry import UpdateFlag

PEER = IPv6Address("2001:db8:9::c")
HOME = IPv6Address("2001:db8:1::100")
OTHER_HOME = IPv6Address("2001:db8:77::5")
LTE, WIFI, SAT = (IPv6Address(f"2001:db8:{net}::1") for net in "abc")
ASK = UpdateFlag.ACKNOWLEDGE
OVERWRITE = ASK | UpdateFlag.OVERWRITE


def bid(
    number: int, address: IPv6Address | IPv4Address | None = None, *, home: bool = False
) -> BindingIdentifier:
    return BindingIdentifier(bid=number, care_of_address=address, home=home)


def key_of(home_token: bytes, care_of_token: bytes = b"") -> bytes:
    return sha1(home_token + care_of_token, usedforsecurity=False).digest()


def mark(key: bytes, care_of: IPv6Address, header: bytes) -> bytes:
    """Return the authenticator of a Mobility Header that has room for it at its end."""
    data = care_of.packed + PEER.packed + header[:4] + bytes(2) + header[6:-12]
    return hmac.new(key, data, sha1).digest()[:12]


@dataclass
class Bench:
    """Sends updates with rising sequence numbers, each with valid proof if not told otherwise."""

    policy: CorrespondentPolicy = field(default_factory=CorrespondentPolicy)
    sequence: int = 0
    now: float = 1000.0
    actions: list[Action] = field(default_factory=list)
    own: set[IPv6Address] = field(default_factory=lambda: {PEER})
    node: CorrespondentNode = field(init=False)
    key: bytes = b""
    last: Received | None = None

    def __post_init__(self) -> None:
        self.node = CorrespondentNode(self.policy, rng=Random(5), is_own=self.own.__contains__)

    def deliver(self, message: Message, envelope: Envelope, header: bytes = b"") -> None:
        self.last = Received(message=message, envelope=envelope, header=header)
        self.actions = self.node.receive(self.last, self.now)

    def home_test(self, home: IPv6Address = HOME) -> HomeTest:
        envelope = Envelope(source=home, destination=PEER)
        self.deliver(HomeTestInit(cookie=bytes(8)), envelope)
        (message,) = self.messages(HomeTest)
        return message

    def care_of_test(self, address: IPv6Address, *options: BindingIdentifier) -> CareOfTest:
        envelope = Envelope(source=address, destination=PEER)
        self.deliver(CareOfTestInit(cookie=bytes(8), options=options), envelope)
        (message,) = self.messages(CareOfTest)
        return message

    def send(
        self,
        *options: object,
        care_of: IPv6Address = LTE,
        source: IPv6Address | None = None,
        home: IPv6Address = HOME,
        flags: UpdateFlag = ASK,
        lifetime_s: int = 420,
        sequence: int | None = None,
        home_test: HomeTest | None = None,
        care_of_test: CareOfTest | None = None,
        at_home: bool = False,
    ) -> BindingAcknowledgement | None:
        """Prove both addresses, send one update, and return what is answered."""
        home_test = home_test or self.home_test(home)
        care_of_test = care_of_test or self.care_of_test(care_of)
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        deletes = lifetime_s == 0
        key = key_of(home_test.token, b"" if deletes else care_of_test.token)
        indices = NonceIndices(
            home=home_test.nonce_index, care_of=0 if deletes else care_of_test.nonce_index
        )
        blank = BindingAuthorizationData(authenticator=bytes(12))
        update = BindingUpdate(
            sequence=sequence,
            flags=flags,
            lifetime_s=lifetime_s,
            options=(*options, indices, blank),
        )
        header = emit_message(update, home.packed, PEER.packed)
        octets = mark(key, home if deletes else care_of, header)
        self.key = key
        signed = replace(
            update,
            options=(*update.options[:-1], BindingAuthorizationData(authenticator=octets)),
        )
        envelope = Envelope(
            source=home if at_home else source or care_of,
            destination=PEER,
            home_address=None if at_home else home,
        )
        self.deliver(signed, envelope, emit_message(signed, home.packed, PEER.packed))
        return self.acknowledgement()

    def messages(self, kind: type) -> Iterator:
        return iter([s.message for s in self.sent() if isinstance(s.message, kind)])

    def sent(self) -> list[Send]:
        return [action for action in self.actions if isinstance(action, Send)]

    def events(self) -> list[str]:
        return [action.event for action in self.actions if isinstance(action, Report)]

    def acknowledgement(self) -> BindingAcknowledgement | None:
        return next(self.messages(BindingAcknowledgement), None)

    def advance(self, seconds: float) -> list[Action]:
        self.now += seconds
        self.actions = self.node.handle_timer(self.now)
        return self.actions

    def bound(self, home: IPv6Address = HOME) -> dict[int | None, IPv6Address]:
        return {b.bid: b.care_of_address for b in self.node.bindings(PEER, home)}
