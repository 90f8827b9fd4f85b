"""What a home agent says unasked, and repeats until it is heard (RFC 5142, RFC 5846).

Binding Revocation ends chosen bindings, by their BIDs; Home Agent Switch sends a mobile node to
another home agent. Both are the operator's wish.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final

from mcoa.binding.cache import BindingCache, CacheEntry
from mcoa.binding.timers import TimerTable
from mcoa.engine.actions import Action, Envelope, Report, Send
from mcoa.engine.ways import to_node
from mcoa.wire.messages import (
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    HomeAgentSwitch,
)
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import RevocationTrigger

FIRST_REVOCATION_S, LONGEST_REVOCATION_S = 1.0, 2.0  # RFC 5846 §12
FIRST_SWITCH_S, LONGEST_SWITCH_S = 5.0, 20.0  # RFC 5142 §6
_ATTEMPTS: Final = 4

Withdraw = Callable[[IPv6Address, frozenset[int], float], list[Action]]


@dataclass(slots=True, kw_only=True)
class Notice:
    """One notice under way to a mobile node.

    Attributes:
        bids: to be revoked; empty for all of them, None for a switch.
        agents: to switch to; none at all leaves it to discovery.
        interval_s: until the next copy.
    """

    home_address: IPv6Address
    bids: frozenset[int] | None
    sequence: int
    agents: tuple[IPv6Address, ...] = ()
    interval_s: float = 0.0
    attempts: int = 0


class Notices:
    """At most one notice a mobile node; a newer one takes the place of the older.

    Args:
        address: of the agent.
        cache: tells where a mobile node is.
        withdraw: forgets bindings of a home address by their BIDs, all of them without any.
    """

    def __init__(self, address: IPv6Address, cache: BindingCache, withdraw: Withdraw) -> None:
        self._address = address
        self._cache = cache
        self._withdraw = withdraw
        self._sequence = 0
        self._pending: dict[IPv6Address, Notice] = {}
        self._sent_away: set[IPv6Address] = set()
        self._timers: TimerTable[IPv6Address] = TimerTable()

    def revoke(self, home_address: IPv6Address, bids: frozenset[int], now: float) -> None:
        """Begin to revoke bindings; the first copy is due at once."""
        self._sent_away.discard(home_address)
        self._begin(home_address, bids, (), FIRST_REVOCATION_S, now)

    def switch(
        self, home_address: IPv6Address, agents: tuple[IPv6Address, ...], now: float
    ) -> None:
        """Begin to send a mobile node elsewhere; the first copy is due at once."""
        self._sent_away.add(home_address)
        self._begin(home_address, None, agents, FIRST_SWITCH_S, now)

    def is_sent_away(self, home_address: IPv6Address) -> bool:
        """Return True while what a mobile node has is not to be extended (RFC 5142 §5.3)."""
        if home_address not in self._sent_away:
            return False
        entry = self._cache.entry(home_address)
        if entry is None or not entry.bindings:
            self._sent_away.discard(home_address)  # it has left; it may come back
            return False
        return True

    def next_deadline(self) -> float | None:
        """Return when handle_timer() is due, or None."""
        return self._timers.next_deadline()

    def handle_timer(self, now: float) -> list[Action]:
        """Send what is due; what was repeated often enough is over."""
        actions: list[Action] = []
        for home_address in list(self._timers.expire(now)):
            notice = self._pending[home_address]
            if notice.attempts == _ATTEMPTS:
                self._end(home_address)
                actions.append(Report(event="notice-unanswered", home_address=home_address))
                # A revocation is the agent's right; a switch is the mobile node's to follow.
                if notice.bids is not None:
                    actions += self._withdraw(home_address, notice.bids, now)
            else:
                actions += self._repeat(notice, now)
        return actions

    def acknowledged(
        self, home_address: IPv6Address, message: BindingRevocationAcknowledgement, now: float
    ) -> list[Action]:
        """Carry out the revocation that an acknowledgement answers."""
        notice = self._pending.get(home_address)
        if notice is None or notice.bids is None or notice.sequence != message.sequence:
            return [Report(event="revocation-not-under-way", home_address=home_address)]
        self._end(home_address)
        report = Report(
            event="bindings-revoked", home_address=home_address, detail=message.status.label
        )
        return [report, *self._withdraw(home_address, notice.bids, now)]

    def _repeat(self, notice: Notice, now: float) -> list[Action]:
        """Send a copy, and say when the next one is due."""
        home_address = notice.home_address
        entry = self._cache.entry(home_address)
        if entry is None or not entry.bindings:
            self._end(home_address)  # it has de-registered, which is all that was wanted
            return []
        notice.attempts += 1
        self._timers.set(home_address, now + notice.interval_s)
        most_s = LONGEST_SWITCH_S if notice.bids is None else LONGEST_REVOCATION_S
        notice.interval_s = min(2 * notice.interval_s, most_s)
        return [Send(message=_message(notice), envelope=self._envelope(notice, entry))]

    def _envelope(self, notice: Notice, entry: CacheEntry) -> Envelope:
        """Return the way to a care-of address, to another one with each copy.

        Not through the tunnel, where a notice is data like any other (RFC 6275 §10.4.2). What is
        revoked is told at the address that it is about before any other (RFC 5846 §7.1).
        """
        concerned = notice.bids or frozenset()
        ways = sorted(entry.bindings, key=lambda each: each.bid not in concerned)
        way = ways[(notice.attempts - 1) % len(ways)]
        if way.home:
            return Envelope(
                source=self._address,
                destination=notice.home_address,
                link_layer_address=entry.link_layer_address,
            )
        return to_node(self._address, notice.home_address, way.care_of_address, way.port)

    def _end(self, home_address: IPv6Address) -> None:
        self._pending.pop(home_address, None)
        self._timers.stop(home_address)

    def _begin(
        self,
        home_address: IPv6Address,
        bids: frozenset[int] | None,
        agents: tuple[IPv6Address, ...],
        interval_s: float,
        now: float,
    ) -> None:
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._pending[home_address] = Notice(
            home_address=home_address,
            bids=bids,
            sequence=self._sequence,
            agents=agents,
            interval_s=interval_s,
        )
        self._timers.set(home_address, now)


def _message(notice: Notice) -> HomeAgentSwitch | BindingRevocationIndication:
    if notice.bids is None:
        return HomeAgentSwitch(addresses=notice.agents)
    return BindingRevocationIndication(
        trigger=RevocationTrigger.ADMINISTRATIVE_REASON,
        sequence=notice.sequence,
        options=tuple(BindingIdentifier(bid=bid) for bid in sorted(notice.bids)),
    )
