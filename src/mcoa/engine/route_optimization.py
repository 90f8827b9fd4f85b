"""The mobile node's correspondents: whom to talk to directly, and over which addresses.

A correspondent is taken up when packets to or from it are seen, and let go when there were none
for a while and nothing is bound there any more (RFC 6275 §11.7.2).
"""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv6Address
from math import inf
from random import Random
from typing import Final

from mcoa.binding.timers import TimerTable
from mcoa.engine.actions import Action, Received, Report
from mcoa.engine.correspondence import Correspondence, Surroundings
from mcoa.engine.policy import MobileNodePolicy
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    CareOfTest,
    HomeTest,
)
from mcoa.wire.registry import BindingErrorStatus

_MOST_CORRESPONDENTS: Final = 1024

OfCorrespondent = (
    HomeTest | CareOfTest | BindingAcknowledgement | BindingRefreshRequest | BindingError
)
"""What a correspondent says to a mobile node."""


class RouteOptimization:
    """Correspondences by the correspondent's address."""

    def __init__(self, policy: MobileNodePolicy, rng: Random) -> None:
        self._policy = policy
        self._rng = rng
        self._around = Surroundings(offered={}, ways=())
        self._peers: dict[IPv6Address, Correspondence] = {}
        self._timers: TimerTable[IPv6Address] = TimerTable()
        self._direct: Mapping[bytes, frozenset[bytes]] = {}

    def __contains__(self, peer: IPv6Address) -> bool:
        return peer in self._peers

    def __iter__(self) -> Iterator[Correspondence]:
        return iter(self._peers.values())

    def direct(self) -> Mapping[bytes, frozenset[bytes]]:
        """Return the care-of addresses that each correspondent has bound; as octets.

        It is another object after each change, and the same one as long as there is none.
        """
        return self._direct

    def used(self, peer: IPv6Address, now: float) -> list[Action]:
        """Take note of a packet to or from a correspondent."""
        if not self._policy.optimizes(peer):
            return []
        known = self._peers.get(peer)
        if known is None:
            if len(self._peers) >= _MOST_CORRESPONDENTS:
                return []
            known = Correspondence(peer, self._policy, rng=self._rng, now=now)
            known.surround(self._around)
            self._peers[peer] = known
        known.patience.used_at_s = now
        return self._then(known, known.step, now)

    def suspected(self, peer: IPv6Address, now: float) -> list[Action]:
        """Take note of a packet that a correspondent should have sent directly."""
        known = self._peers.get(peer)
        if known is None:
            return []
        known.patience.used_at_s = now
        return self._then(known, known.suspected, now)

    def refused(self, peer: IPv6Address, now: float) -> list[Action]:
        """Take in that a correspondent knows no Home Address option any more."""
        known = self._peers.get(peer)
        return [] if known is None else self._then(known, known.forgotten, now)

    def surround(self, around: Surroundings, now: float) -> list[Action]:
        """Take in where the mobile node is now."""
        if around == self._around:
            return []
        self._around = around
        actions: list[Action] = []
        for each in list(self._peers.values()):
            each.surround(around)
            actions += each.step(now, supersede=True)
            self._arm(each)
        return actions

    def receive(self, received: Received, now: float) -> list[Action]:
        """Take in what a correspondent says."""
        message, envelope = received.message, received.envelope
        known = self._peers.get(envelope.source)
        if known is None:
            return [Report(event="message-from-stranger")]
        home_address = self._policy.home_address
        is_ours = home_address in (envelope.routing_header_home_address, envelope.destination)
        match message:
            case HomeTest() if envelope.destination == home_address:
                actions = known.home_tested(message, now)
            case CareOfTest():
                actions = known.care_of_tested(message, envelope.destination, now)
            case BindingAcknowledgement() if is_ours:
                actions = known.acknowledged(message, received, now)
            case BindingRefreshRequest() if is_ours:
                actions = known.refresh_requested(message, now)
            case BindingError(
                status=BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS, home_address=home
            ) if home == home_address:
                actions = known.forgotten(now)
            case _:
                actions = [Report(event="message-not-for-a-mobile-node")]
        self._arm(known)
        return actions

    def unknown_to(self, peer: IPv6Address, cookie: bytes, now: float) -> list[Action]:
        """Take in that a node knows no Mobility Header, as an ICMPv6 error about ours tells."""
        known = self._peers.get(peer)
        if known is None:
            return []
        return self._then(known, lambda at_s: known.does_not_know(cookie, at_s), now)

    def next_deadline(self) -> float | None:
        """Return when handle_timer() is due, or None."""
        return self._timers.next_deadline()

    def handle_timer(self, now: float) -> list[Action]:
        """Do what is due with any correspondent."""
        actions: list[Action] = []
        for peer in list(self._timers.expire(now)):
            known = self._peers[peer]
            actions += known.step(now)
            self._arm(known)
            if known.is_over(now):
                self._timers.stop(peer)
                del self._peers[peer]
        return actions

    def leave(self, now: float) -> list[Action]:
        """De-register everywhere, and be done."""
        actions: list[Action] = []
        for peer, known in self._peers.items():
            actions += known.leave(now)
            self._timers.stop(peer)
        self._peers.clear()
        self._direct = {}
        return actions

    def _then(
        self, known: Correspondence, step: Callable[[float], list[Action]], now: float
    ) -> list[Action]:
        actions = step(now)
        self._arm(known)
        return actions

    def _arm(self, known: Correspondence) -> None:
        """Note when it is due, and what may go directly now."""
        deadline_s = known.next_deadline()
        if deadline_s < inf:
            self._timers.set(known.peer, deadline_s)
        else:
            self._timers.stop(known.peer)
        self._note_direct(known.peer, known.direct)

    def _note_direct(self, peer: IPv6Address, addresses: frozenset[bytes]) -> None:
        if addresses == self._direct.get(peer.packed, frozenset()):
            return
        others = {each: bound for each, bound in self._direct.items() if each != peer.packed}
        self._direct = {**others, peer.packed: addresses} if addresses else others
