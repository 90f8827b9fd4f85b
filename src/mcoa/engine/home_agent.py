"""The home agent (RFC 6275 §10, RFC 5648 §6).

An update passes three gates: is it one at all (`_binding_update`), does it say something
allowed (`registration.decide`), and is the home address free (duplicate detection, once for
a home address and never for a BID). Only then does the cache change, and only after the
change has been remembered does the acknowledgement leave.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address
from math import inf
from random import Random

from mcoa.binding.cache import Binding, BindingCache, CacheEntry
from mcoa.binding.flow_bindings import FlowBinding
from mcoa.binding.sequence import is_newer
from mcoa.binding.timers import SecondBuckets, TimerTable
from mcoa.engine import upkeep
from mcoa.engine.acknowledgement import acknowledge, refusal
from mcoa.engine.actions import (
    Action,
    BindingsChanged,
    DetectDuplicate,
    Envelope,
    Intercept,
    Received,
    Remember,
    Report,
    Send,
)
from mcoa.engine.addresses import (
    is_possible_care_of_address,
    is_unicast_routable,
    link_local_of,
)
from mcoa.engine.binding_errors import unknown_binding, unrecognized_message
from mcoa.engine.home_agents_list import HomeAgentsList
from mcoa.engine.interception import (
    Before,
    consequences,
    interception,
    interception_of_link_local,
)
from mcoa.engine.notices import Notices
from mcoa.engine.policy import HomeAgentPolicy
from mcoa.engine.prefix_advertisement import advertise_prefixes
from mcoa.engine.registration import decide, refusal_of_home_address
from mcoa.engine.verdict import Request, Verdict, link_layer_address_in
from mcoa.wire.icmpv6_mobility import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
)
from mcoa.wire.messages import (
    BindingError,
    BindingRevocationAcknowledgement,
    BindingUpdate,
)
from mcoa.wire.option_list import MalformedOption, Option
from mcoa.wire.options import NonceIndices
from mcoa.wire.registry import BindingStatus, OptionType, UpdateFlag

MAX_DELETE_BCE_TIMEOUT_S = 10.0  # RFC 6275 §12

_STALE_WAKES_KEPT = 1024

_ADVERTISEMENT_INTERVAL_S = 1.0  # of prefixes, to one mobile node (RFC 6275 §10.6.3)
_ADVERTISEMENTS_KEPT = 1024

_NOTHING_TO_DELETE = BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """An update that waits for duplicate address detection of its home address."""

    update: BindingUpdate
    envelope: Envelope


def _is_nonce_indices(option: Option) -> bool:
    """Return True for an option that no home registration may have (RFC 6275 §9.5.1)."""
    if type(option) is MalformedOption:
        return option.type == OptionType.NONCE_INDICES
    return type(option) is NonceIndices


def _always(_home_address: IPv6Address) -> bool:
    return True


class HomeAgent:
    """The caller brings messages and time, and performs the actions in their order.

    `in_use` tells whether packets went to a home address lately; a binding that nobody uses
    is left to expire without a Binding Refresh Request (RFC 6275 §9.5.5).

    Attributes:
        other_routers: the caller has heard another router on the home link, so that no mobile
            node there may defend its home address itself (RFC 5648 §6.3).
    """

    def __init__(
        self,
        policy: HomeAgentPolicy,
        *,
        in_use: Callable[[IPv6Address], bool] = _always,
        rng: Random | None = None,
    ) -> None:
        self.policy = policy
        self.cache = BindingCache()
        self.agents = HomeAgentsList(policy.address, policy.preference, rng or Random(0))
        self.notices = Notices(policy.address, self.cache, self._withdraw)
        self.other_routers = False
        self._in_use = in_use
        self._wakes: SecondBuckets[IPv6Address] = SecondBuckets()
        self._pending: dict[IPv6Address, _Pending] = {}
        self._detections: TimerTable[IPv6Address] = TimerTable()
        self._advertised_s: dict[IPv6Address, float] = {}

    def receive(self, received: Received, now: float) -> list[Action]:
        """Take in one message."""
        message = received.message
        match message:
            case BindingUpdate():
                return self._binding_update(message, received.envelope, now)
            case HomeAgentAddressDiscoveryRequest():
                return self.agents.answer(message, received, now)
            case MobilePrefixSolicitation():
                return self._prefixes_solicited(message, received.envelope, now)
            case BindingRevocationAcknowledgement():
                return self._revoked(message, received.envelope, now)
            case (
                BindingError() | HomeAgentAddressDiscoveryReply() | MobilePrefixAdvertisement()
            ):
                return [Report(event="message-not-for-a-home-agent")]
            case _:
                return unrecognized_message(self.policy.address, received.envelope)

    def next_deadline(self) -> float | None:
        """Return when handle_timer() is due, or None."""
        sources = (self._wakes, self._detections, self.notices)
        times = [time for each in sources if (time := each.next_deadline()) is not None]
        return min(times, default=None)

    def handle_timer(self, now: float) -> list[Action]:
        """Expire bindings, ask for refreshes, end duplicate detections."""
        actions: list[Action] = []
        for home_address in self._detections.expire(now):
            pending = self._pending.pop(home_address)
            actions += self._conclude(pending.update, pending.envelope, now)
        actions += self.notices.handle_timer(now)
        for second, home_address in self._wakes.due(now):
            entry = self.cache.entry(home_address)
            if entry is not None and entry.wake_at_s == second:
                actions += self._wake(entry, now)
        return actions

    def duplicate_found(self, home_address: IPv6Address) -> list[Action]:
        """Somebody on the home link uses `home_address`, or a link-local one that we asked for.

        RFC 6275 §10.3.1.
        """
        if home_address.is_link_local:
            home_address = self._pending_with(home_address) or home_address
        pending = self._pending.pop(home_address, None)
        if pending is None:
            return [Report(event="home-address-conflict", home_address=home_address)]
        self._detections.stop(home_address)
        verdict = refusal(BindingStatus.DUPLICATE_ADDRESS_DETECTION_FAILED, pending.update)
        update = pending.update
        return [
            Report(event="duplicate-address", home_address=home_address),
            self._acknowledge(verdict, update, pending.envelope, update.sequence),
        ]

    def restore(self, entry: CacheEntry, now: float) -> list[Action]:
        """Take over what an earlier run remembered; without detection, the address was ours.

        Who is not served any more has no bindings any more. Nothing lasts longer than what is
        granted now, whatever the clock of this machine did in the meantime.
        """
        if refusal_of_home_address(entry.home_address, self.policy) is not None:
            return [
                Report(event="home-address-not-served", home_address=entry.home_address),
                Remember(home_address=entry.home_address),
            ]
        entry.bindings = tuple(b for b in entry.bindings if b.expires_at_s > now)
        for binding in entry.bindings:
            latest_s = now + self.policy.max_lifetime_s
            binding.expires_at_s = min(latest_s, binding.expires_at_s)
            binding.verified_at_s = min(now, binding.verified_at_s)
        if not entry.bindings or not self.policy.flow_bindings:
            entry.flows = ()
        if not entry.bindings:
            forget_at_s = inf if entry.forget_at_s is None else entry.forget_at_s
            entry.forget_at_s = min(now + MAX_DELETE_BCE_TIMEOUT_S, forget_at_s)
        self.cache.put(entry)
        self._arm(entry)
        if not entry.bindings:
            return []
        by = interception(entry.bindings)
        of_link_local = interception_of_link_local(entry)
        address = link_local_of(entry.home_address)
        return [
            Intercept(home_address=entry.home_address, by=by),
            *([Intercept(home_address=address, by=of_link_local)] if entry.link_local else []),
            BindingsChanged(home_address=entry.home_address),
        ]

    def bindings(self, home_address: IPv6Address) -> tuple[Binding, ...]:
        """Return what `home_address` is bound to now."""
        entry = self.cache.entry(home_address)
        return () if entry is None else entry.bindings

    def is_bound(self, home_address: IPv6Address, source: IPv6Address) -> bool:
        """Tell whether a packet of a home address may come from there (RFC 5648 §6.5)."""
        return any(each.care_of_address == source for each in self.bindings(home_address))

    def claimed(self, source: IPv6Address, home_address: IPv6Address) -> list[Action]:
        """Take note of a packet with a Home Address option that is no signalling of ours."""
        if self.is_bound(home_address, source):
            return [Report(event="message-not-for-a-home-agent")]
        return unknown_binding(self.policy.address, source, home_address)

    def _prefixes_solicited(
        self, message: MobilePrefixSolicitation, envelope: Envelope, now: float
    ) -> list[Action]:
        """Answer who has a binding (RFC 6275 §10.6.2)."""
        home_address = envelope.sender
        if not self.is_bound(home_address, envelope.origin):
            return unknown_binding(self.policy.address, envelope.origin, home_address)
        if now < self._advertised_s.get(home_address, -inf) + _ADVERTISEMENT_INTERVAL_S:
            return [Report(event="prefixes-solicited-too-often", home_address=home_address)]
        if len(self._advertised_s) >= _ADVERTISEMENTS_KEPT:
            self._advertised_s.clear()
        self._advertised_s[home_address] = now
        return [advertise_prefixes(message, envelope, self.policy, now)]

    def flows(self, home_address: IPv6Address) -> tuple[FlowBinding, ...]:
        """Return the flow bindings of `home_address`, in the order of comparison (RFC 6089)."""
        entry = self.cache.entry(home_address)
        return () if entry is None else entry.flows

    # The operator's wishes.

    def revoke(
        self, home_address: IPv6Address, bids: frozenset[int], now: float
    ) -> list[Action]:
        """End bindings: tell the mobile node, and forget them when it has heard (RFC 5846).

        Args:
            home_address: has bindings.
            bids: those to end, which are bound; none at all ends all.
            now: monotonic seconds.
        """
        self.notices.revoke(home_address, bids, now)
        return self.handle_timer(now)

    def switch(
        self, home_address: IPv6Address, agents: tuple[IPv6Address, ...], now: float
    ) -> list[Action]:
        """Ask a mobile node to register elsewhere (RFC 5142); without agents, to find one."""
        self.notices.switch(home_address, agents, now)
        return self.handle_timer(now)

    def _revoked(
        self, message: BindingRevocationAcknowledgement, envelope: Envelope, now: float
    ) -> list[Action]:
        home_address = envelope.sender
        if not self.is_bound(home_address, envelope.origin):
            return [Report(event="revocation-not-under-way", home_address=home_address)]
        return self.notices.acknowledged(home_address, message, now)

    def _withdraw(
        self, home_address: IPv6Address, bids: frozenset[int], now: float
    ) -> list[Action]:
        """Forget the bindings that were revoked."""
        entry = self.cache.entry(home_address)
        if entry is None:
            return []
        kept = tuple(b for b in entry.bindings if bids and b.bid not in bids)
        return self._keep(entry, kept, now)

    def _binding_update(
        self, update: BindingUpdate, envelope: Envelope, now: float
    ) -> list[Action]:
        home_address = envelope.sender
        is_answerable = is_possible_care_of_address(envelope.origin)
        if not is_answerable or not is_unicast_routable(home_address):
            return [Report(event="update-from-unroutable-address", home_address=home_address)]
        entry = self.cache.entry(home_address)
        if not update.flags & UpdateFlag.HOME and not (entry and entry.bindings):
            # A correspondent registration without authenticator: RFC 6275 §9.5.1.
            return [Report(event="update-not-for-a-home-agent", home_address=home_address)]
        if any(_is_nonce_indices(option) for option in update.options):
            return [Report(event="update-with-nonce-indices", home_address=home_address)]
        if entry is not None and not is_newer(update.sequence, entry.sequence):
            verdict = refusal(BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW, update)
            return [self._acknowledge(verdict, update, envelope, entry.sequence)]
        status: BindingStatus | None = None
        if not update.flags & UpdateFlag.HOME:
            status = BindingStatus.REGISTRATION_TYPE_CHANGE_DISALLOWED
        elif update.lifetime_s and self.notices.is_sent_away(home_address):
            status = BindingStatus.ADMINISTRATIVELY_PROHIBITED
        if status is not None:
            verdict = refusal(status, update)
            return [self._acknowledge(verdict, update, envelope, update.sequence)]
        return self._admit(update, envelope, entry, now)

    def _admit(
        self, update: BindingUpdate, envelope: Envelope, entry: CacheEntry | None, now: float
    ) -> list[Action]:
        """Begin duplicate detection where it is due, else conclude at once."""
        home_address = envelope.sender
        pending = self._pending.get(home_address)
        if pending is not None:
            return self._replace_pending(pending, update, envelope, now)
        is_known = entry is not None and bool(entry.bindings)
        if is_known or not self.policy.detect_duplicates:
            return self._conclude(update, envelope, now)
        verdict = self._decide(update, envelope, now)
        if verdict.status.is_rejection or not verdict.bindings:
            return self._conclude(update, envelope, now)
        self._pending[home_address] = _Pending(update=update, envelope=envelope)
        self._detections.set(home_address, now + self.policy.duplicate_detection_s)
        actions: list[Action] = [DetectDuplicate(home_address=home_address)]
        if update.flags & UpdateFlag.LINK_LOCAL:
            actions.append(DetectDuplicate(home_address=link_local_of(home_address)))
        return actions

    def _pending_with(self, link_local: IPv6Address) -> IPv6Address | None:
        """Return the home address whose link-local one is being asked for."""
        return next((each for each in self._pending if link_local_of(each) == link_local), None)

    def _replace_pending(
        self, pending: _Pending, update: BindingUpdate, envelope: Envelope, now: float
    ) -> list[Action]:
        # The mobile node may have lost or gained a link meanwhile: its newest word counts.
        home_address = envelope.sender
        if not is_newer(update.sequence, pending.update.sequence):
            return []
        if update.lifetime_s == 0:
            del self._pending[home_address]
            self._detections.stop(home_address)
            return self._conclude(update, envelope, now)
        self._pending[home_address] = _Pending(update=update, envelope=envelope)
        return []

    def _decide(self, update: BindingUpdate, envelope: Envelope, now: float) -> Verdict:
        home_address = envelope.sender
        entry = self.cache.entry(home_address)
        held = len(self.cache) + len(self._pending)
        if entry is None and held >= self.policy.max_home_addresses:
            return refusal(BindingStatus.INSUFFICIENT_RESOURCES, update)
        request = Request(
            update=update,
            source=envelope.origin,
            port=0 if envelope.udp is None else envelope.udp.port,
            home_address=home_address,
            entry=entry,
            now=now,
            may_defend=self.policy.only_router and not self.other_routers,
        )
        return decide(request, self.policy)

    def _conclude(self, update: BindingUpdate, envelope: Envelope, now: float) -> list[Action]:
        """Decide, apply, remember, acknowledge: in this order."""
        home_address = envelope.sender
        verdict = self._decide(update, envelope, now)
        entry = self.cache.entry(home_address)
        actions: list[Action] = []
        if verdict.bindings is not None:
            actions = self._apply(update, envelope, verdict, now)
        elif entry is not None or verdict.status is _NOTHING_TO_DELETE:
            actions = self._spend(home_address, update.sequence, now)
        if verdict.status.is_rejection:
            actions.append(
                Report(
                    event="update-refused",
                    home_address=home_address,
                    detail=verdict.status.phrase,
                )
            )
        actions.append(self._acknowledge(verdict, update, envelope, update.sequence))
        return actions

    def _spend(self, home_address: IPv6Address, sequence: int, now: float) -> list[Action]:
        """Take note of the number of an update that changed nothing.

        Else an older update that it overtook could still bind what the mobile node has just
        been told is not bound.
        """
        entry = self.cache.entry(home_address)
        if entry is None:
            entry = CacheEntry(home_address=home_address, sequence=sequence)
            self.cache.put(entry)
        entry.sequence = sequence
        if not entry.bindings:
            entry.forget_at_s = now + MAX_DELETE_BCE_TIMEOUT_S
            self._arm(entry)
        return [Remember(home_address=home_address)]

    def _acknowledge(
        self, verdict: Verdict, update: BindingUpdate, envelope: Envelope, sequence: int
    ) -> Send:
        entry = self.cache.entry(envelope.sender)
        cached = b"" if entry is None else entry.link_layer_address
        frame_to = link_layer_address_in(update) or cached
        return acknowledge(verdict, envelope, self.policy, sequence, frame_to)

    def _apply(
        self, update: BindingUpdate, envelope: Envelope, verdict: Verdict, now: float
    ) -> list[Action]:
        home_address = envelope.sender
        bindings = verdict.bindings or ()
        entry = self.cache.entry(home_address)
        if entry is None:
            entry = CacheEntry(home_address=home_address, sequence=update.sequence)
            self.cache.put(entry)
        before = Before(entry)
        entry.bindings, entry.flows = bindings, verdict.flows.flows
        entry.sequence = update.sequence
        entry.link_layer_address = link_layer_address_in(update) or entry.link_layer_address
        if not bindings and envelope.origin != home_address:
            entry.link_layer_address = b""  # wherever it is now, it is not at home
        entry.link_local = bool(bindings and update.flags & UpdateFlag.LINK_LOCAL)
        entry.lifetime_s = verdict.lifetime_s
        entry.refresh_requested = False
        entry.forget_at_s = None if bindings else now + MAX_DELETE_BCE_TIMEOUT_S
        self._arm(entry)
        self._drop_stale_wakes()
        return [Remember(home_address=home_address), *consequences(entry, before)]

    def _arm(self, entry: CacheEntry) -> None:
        """Have the entry looked at when something about it falls due.

        A refresh moves that time away and needs no work: the early wake finds nothing to do
        and arms again.
        """
        due_s = upkeep.due_s(entry, self.policy.refresh_request_lead_s)
        if entry.wake_at_s is None or due_s < entry.wake_at_s - 1:
            entry.wake_at_s = self._wakes.add(entry.home_address, due_s)

    def _drop_stale_wakes(self) -> None:
        # Who shortens his lifetime step by step leaves a place behind with each step.
        if len(self._wakes) > 2 * len(self.cache) + _STALE_WAKES_KEPT:
            self._wakes.replace(
                (entry.wake_at_s, entry.home_address)
                for entry in self.cache
                if entry.wake_at_s is not None
            )

    def _is_due(self, entry: CacheEntry, now: float) -> bool:
        return upkeep.due_s(entry, self.policy.refresh_request_lead_s) <= now

    def _wake(self, entry: CacheEntry, now: float) -> list[Action]:
        entry.wake_at_s = None
        if not entry.bindings:
            if entry.forget_at_s is not None and entry.forget_at_s <= now:
                self.cache.remove(entry.home_address)
                actions: list[Action] = [Remember(home_address=entry.home_address)]
                if entry.link_layer_address:  # packets were still delivered to it at home
                    actions.append(BindingsChanged(home_address=entry.home_address))
                return actions
            self._arm(entry)
            return []
        actions = self._expire(entry, now)
        if entry.bindings and not entry.refresh_requested and self._is_due(entry, now):
            entry.refresh_requested = True
            actions += self._request_refresh(entry, now)
        self._arm(entry)
        return actions

    def _expire(self, entry: CacheEntry, now: float) -> list[Action]:
        living = tuple(b for b in entry.bindings if b.expires_at_s > now)
        if len(living) == len(entry.bindings):
            return []
        report = Report(event="bindings-expired", home_address=entry.home_address)
        return [report, *self._keep(entry, living, now)]

    def _keep(
        self, entry: CacheEntry, bindings: tuple[Binding, ...], now: float
    ) -> list[Action]:
        """Let an entry have no other bindings than these of its own."""
        before = Before(entry)
        entry.bindings = bindings
        if not bindings:
            entry.flows = ()
            entry.forget_at_s = now + MAX_DELETE_BCE_TIMEOUT_S
            entry.link_layer_address = b""
        self._arm(entry)
        return [Remember(home_address=entry.home_address), *consequences(entry, before)]

    def _request_refresh(self, entry: CacheEntry, now: float) -> list[Action]:
        """Ask for the bindings that run out first (RFC 6275 §9.5.5, RFC 5648 §6.4)."""
        home_address = entry.home_address
        if not self._in_use(home_address):
            return []
        request = upkeep.refresh_request(entry, self.policy.refresh_request_lead_s, now)
        envelope = Envelope(source=self.policy.address, destination=home_address)
        return [Send(message=request, envelope=envelope)]
