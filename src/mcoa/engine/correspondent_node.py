"""The correspondent node (RFC 6275 §9, RFC 5648 §6): it talks with mobile nodes directly.

Before a valid update it keeps nothing of those who ask. An update passes four gates: does it
prove both addresses, is it newer than what came before, does it say something allowed, is there
room; and whoever fails the first gets silence, unless his nonces were only too old.
"""

from collections.abc import Callable
from ipaddress import IPv6Address
from itertools import islice
from math import inf
from random import Random

from mcoa.binding.cache import Binding, CacheEntry
from mcoa.binding.fair_cache import FairCache
from mcoa.binding.routability import (
    MAX_NONCE_LIFETIME_S,
    Nonces,
    binding_management_key,
)
from mcoa.binding.sequence import is_newer
from mcoa.binding.timers import SecondBuckets
from mcoa.engine import upkeep
from mcoa.engine.acknowledgement import echoes, refusal
from mcoa.engine.actions import (
    Action,
    BindingsChanged,
    Discovery,
    Envelope,
    Received,
    Report,
    Send,
)
from mcoa.engine.addresses import is_unicast_routable
from mcoa.engine.authorization import is_signed, sign
from mcoa.engine.binding_errors import unknown_binding, unrecognized_message
from mcoa.engine.correspondent_verdict import Rules, decide_at_correspondent, proven_address
from mcoa.engine.policy import CorrespondentPolicy, MultipleCareOf
from mcoa.engine.verdict import Request, Verdict
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    HomeTest,
    HomeTestInit,
)
from mcoa.wire.options import BindingIdentifier, NonceIndices
from mcoa.wire.registry import AcknowledgementFlag, BindingStatus, UpdateFlag

_STALE_WAKES_KEPT = 1024
_MOST_ECHOES = 50
_NO_FLAGS = AcknowledgementFlag(0)
_EXPIRED_NONCES = {
    (True, False): BindingStatus.EXPIRED_HOME_NONCE_INDEX,
    (False, True): BindingStatus.EXPIRED_CARE_OF_NONCE_INDEX,
    (True, True): BindingStatus.EXPIRED_NONCES,
}


def _always(_own: IPv6Address, _home_address: IPv6Address) -> bool:
    return True


def _never(_address: IPv6Address) -> bool:
    return False


class CorrespondentNode:
    """The caller brings messages and time, and performs the actions in their order.

    `is_own` tells our addresses; `in_use` whether packets went to a home address lately, for a
    binding that nobody uses is left to expire without a Binding Refresh Request.
    """

    def __init__(
        self,
        policy: CorrespondentPolicy,
        *,
        rng: Random,
        is_own: Callable[[IPv6Address], bool] = _never,
        in_use: Callable[[IPv6Address, IPv6Address], bool] = _always,
    ) -> None:
        self.policy = policy
        self.cache = FairCache(policy.max_home_addresses)
        self.nonces = Nonces(rng.randbytes)
        self._rules = Rules(policy=policy, is_own=is_own)
        self._in_use = in_use
        self._wakes: SecondBuckets[tuple[IPv6Address, IPv6Address]] = SecondBuckets()

    def receive(self, received: Received, now: float) -> list[Action]:
        """Take in one message, which was sent to one of our addresses."""
        message, envelope = received.message, received.envelope
        match message:
            case HomeTestInit():
                return self._home_test(message, envelope, now)
            case CareOfTestInit():
                return self._care_of_test(message, envelope, now)
            case BindingUpdate():
                return self._binding_update(message, received, now)
            case _ if isinstance(message, (BindingError, Discovery)):
                return [Report(event="message-not-for-a-correspondent")]
            case _:
                return unrecognized_message(envelope.destination, envelope)

    def next_deadline(self) -> float | None:
        """Return when handle_timer() is due, or None."""
        return self._wakes.next_deadline()

    def handle_timer(self, now: float) -> list[Action]:
        """Expire bindings, and ask for those in use before that (RFC 6275 §9.5.5)."""
        actions: list[Action] = []
        for second, (own, home_address) in self._wakes.due(now):
            entry = self.cache.get(own, home_address)
            if entry is not None and entry.wake_at_s == second:
                actions += self._wake(own, entry, now)
        return actions

    def bindings(self, own: IPv6Address, home_address: IPv6Address) -> tuple[Binding, ...]:
        """Return what `home_address` is bound to for one of our addresses."""
        entry = self.cache.get(own, home_address)
        return () if entry is None else entry.bindings

    def claimed(
        self, own: IPv6Address, source: IPv6Address, home_address: IPv6Address
    ) -> list[Action]:
        """Take note of a packet with a Home Address option from where it is not bound."""
        bound = (each.care_of_address for each in self.bindings(own, home_address))
        return [] if source in bound else unknown_binding(own, source, home_address)

    # Return routability (RFC 6275 §9.4): as much goes out as came in, and nothing is kept.

    def _home_test(self, message: HomeTestInit, envelope: Envelope, now: float) -> list[Action]:
        if not self._may_be_tested(envelope):
            return [Report(event="test-init-refused")]
        index = self.nonces.current(now)
        token = self.nonces.home_token(envelope.source.packed, index, now) or b""
        test = HomeTest(nonce_index=index, cookie=message.cookie, token=token)
        return [Send(message=test, envelope=_back(envelope))]

    def _care_of_test(
        self, message: CareOfTestInit, envelope: Envelope, now: float
    ) -> list[Action]:
        if not self._may_be_tested(envelope):
            return [Report(event="test-init-refused")]
        index = self.nonces.current(now)
        token = self.nonces.care_of_token(envelope.source.packed, index, now) or b""
        test = CareOfTest(
            nonce_index=index,
            cookie=message.cookie,
            token=token,
            options=self._reflected(message),
        )
        return [Send(message=test, envelope=_back(envelope))]

    def _may_be_tested(self, envelope: Envelope) -> bool:
        source = envelope.source
        is_ours = self._rules.is_own(source)
        return envelope.home_address is None and is_unicast_routable(source) and not is_ours

    def _reflected(self, message: CareOfTestInit) -> tuple[BindingIdentifier, ...]:
        """Return the Binding Identifier of a Care-of Test, with what is wrong with it."""
        match self.policy.multiple_care_of:
            case MultipleCareOf.IGNORE:
                return ()
            case MultipleCareOf.PROHIBIT:
                status = BindingStatus.MCOA_PROHIBITED
            case MultipleCareOf.ALLOW:
                status = BindingStatus.ACCEPTED
        named = [each for each in message.identifiers if isinstance(each, BindingIdentifier)]
        return tuple(each.echo(status) for each in named[:1])

    # Binding Updates (RFC 6275 §9.5).

    def _binding_update(
        self, update: BindingUpdate, received: Received, now: float
    ) -> list[Action]:
        envelope = received.envelope
        home_address = envelope.home_address or envelope.source
        if self._is_hopeless(envelope, home_address):
            return [Report(event="update-refused", detail="no address to send to")]
        if update.flags & UpdateFlag.HOME:
            return _refuse(BindingStatus.HOME_REGISTRATION_NOT_SUPPORTED, update, envelope)
        indices = _nonce_indices(update)
        if indices is None:
            return [Report(event="update-without-proof", home_address=home_address)]
        request = Request(
            update=update,
            source=envelope.source,
            home_address=home_address,
            entry=self.cache.get(envelope.destination, home_address),
            now=now,
        )
        key = self._key(request, indices)
        if isinstance(key, BindingStatus):
            return _refuse(key, update, envelope)
        proven = proven_address(request, self._rules)
        if not is_signed(
            update,
            received.header,
            key,
            care_of_address=proven,
            correspondent=envelope.destination,
        ):
            return [Report(event="update-without-proof", home_address=home_address)]
        return self._authentic_update(request, envelope, key, proven)

    def _is_hopeless(self, envelope: Envelope, home_address: IPv6Address) -> bool:
        addresses = (envelope.source, home_address)
        return any(not is_unicast_routable(a) or self._rules.is_own(a) for a in addresses)

    def _key(self, request: Request, indices: NonceIndices) -> bytes | BindingStatus:
        """Return the key of whoever got our tokens; or which of them are too old."""
        nonces, now = self.nonces, request.now
        home_address = request.home_address
        home_token = nonces.home_token(home_address.packed, indices.home, now)
        if request.entry is None:
            # What was forgotten for want of room must not come back from a recording.
            displaced_at_s = self.cache.displaced_at_s(home_address)
            if nonces.made_at_s(indices.home) <= displaced_at_s:
                home_token = None
        if request.is_deregistration:
            if home_token is None:
                return BindingStatus.EXPIRED_HOME_NONCE_INDEX
            return binding_management_key(home_token)
        proven = proven_address(request, self._rules)
        care_of_token = nonces.care_of_token(proven.packed, indices.care_of, now)
        if home_token is None or care_of_token is None:
            return _EXPIRED_NONCES[home_token is None, care_of_token is None]
        return binding_management_key(home_token, care_of_token)

    def _authentic_update(
        self, request: Request, envelope: Envelope, key: bytes, proven: IPv6Address
    ) -> list[Action]:
        update, entry, own = request.update, request.entry, envelope.destination
        if entry is not None and not is_newer(update.sequence, entry.sequence):
            verdict = refusal(BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW, update)
            sequence = entry.sequence
        else:
            verdict, sequence = decide_at_correspondent(request, self._rules), update.sequence
        actions: list[Action] = []
        if verdict.bindings is not None:
            actions = self._apply(own, request, verdict.bindings, verdict.lifetime_s)
        elif entry is not None and sequence == update.sequence:
            entry.sequence = sequence  # an older update must not do what this one was refused
        if verdict.status.is_rejection:
            actions.append(
                Report(
                    event="update-refused",
                    home_address=request.home_address,
                    detail=verdict.status.phrase,
                )
            )
        if not verdict.status.is_rejection and not update.flags & UpdateFlag.ACKNOWLEDGE:
            return actions
        answer = sign(
            _acknowledgement(verdict, sequence), key, care_of_address=proven, correspondent=own
        )
        return [*actions, Send(message=answer, envelope=_to_source(envelope))]

    def _apply(
        self,
        own: IPv6Address,
        request: Request,
        bindings: tuple[Binding, ...],
        lifetime_s: int,
    ) -> list[Action]:
        home_address, now = request.home_address, request.now
        entry = request.entry
        if entry is None:
            entry = CacheEntry(home_address=home_address, sequence=request.update.sequence)
        before = _seen_by_data(entry)
        entry.bindings = bindings
        entry.sequence = request.update.sequence
        entry.lifetime_s = lifetime_s
        entry.refresh_requested = False
        # As long as its nonces live, the update could be sent again by somebody else.
        entry.forget_at_s = now + MAX_NONCE_LIFETIME_S
        actions: list[Action] = []
        if _seen_by_data(entry) != before:
            actions.append(BindingsChanged(home_address=home_address, own_address=own))
        displaced = self.cache.put(own, entry, now)
        self._arm(own, entry)
        self._drop_stale_wakes()
        if displaced is not None:
            owner, gone = displaced
            event = Report(event="binding-displaced", home_address=gone.home_address)
            changed = BindingsChanged(home_address=gone.home_address, own_address=owner)
            actions += [event, changed]
        return actions

    # Time.

    def _arm(self, own: IPv6Address, entry: CacheEntry) -> None:
        due_s = upkeep.due_s(entry, self.policy.refresh_request_lead_s)
        if entry.wake_at_s is None or due_s < entry.wake_at_s - 1:
            entry.wake_at_s = self._wakes.add((own, entry.home_address), due_s)

    def _drop_stale_wakes(self) -> None:
        if len(self._wakes) > 2 * len(self.cache) + _STALE_WAKES_KEPT:
            self._wakes.replace(
                (entry.wake_at_s, (own, entry.home_address))
                for own, entry in self.cache
                if entry.wake_at_s is not None
            )

    def _is_due(self, entry: CacheEntry, now: float) -> bool:
        return upkeep.due_s(entry, self.policy.refresh_request_lead_s) <= now

    def _wake(self, own: IPv6Address, entry: CacheEntry, now: float) -> list[Action]:
        entry.wake_at_s = None
        actions: list[Action] = []
        living = tuple(each for each in entry.bindings if each.expires_at_s > now)
        if len(living) < len(entry.bindings):
            entry.bindings = living
            home_address = entry.home_address
            actions = [
                Report(event="bindings-expired", home_address=home_address),
                BindingsChanged(home_address=home_address, own_address=own),
            ]
        if not entry.bindings and (entry.forget_at_s or -inf) <= now:
            self.cache.remove(own, entry.home_address)
            return actions
        if entry.bindings and not entry.refresh_requested and self._is_due(entry, now):
            entry.refresh_requested = True
            actions += self._request_refresh(own, entry, now)
        self._arm(own, entry)
        return actions

    def _request_refresh(self, own: IPv6Address, entry: CacheEntry, now: float) -> list[Action]:
        """Ask for the bindings that run out first (RFC 6275 §9.5.5, RFC 5648 §6.4)."""
        if not self._in_use(own, entry.home_address):
            return []
        request = upkeep.refresh_request(entry, self.policy.refresh_request_lead_s, now)
        envelope = Envelope(source=own, destination=entry.home_address)
        return [Send(message=request, envelope=envelope)]


def _nonce_indices(update: BindingUpdate) -> NonceIndices | None:
    for option in update.options:
        if isinstance(option, NonceIndices):
            return option
    return None


def _back(received: Envelope) -> Envelope:
    return Envelope(source=received.destination, destination=received.source)


def _refuse(status: BindingStatus, update: BindingUpdate, received: Envelope) -> list[Action]:
    """Refuse an update of whom nothing is proven yet."""
    message = _acknowledgement(refusal(status, update), update.sequence)
    return [Send(message=message, envelope=_to_source(received))]


def _acknowledgement(verdict: Verdict, sequence: int) -> BindingAcknowledgement:
    return BindingAcknowledgement(
        status=verdict.status,
        flags=_NO_FLAGS,
        sequence=sequence,
        lifetime_s=verdict.lifetime_s,
        options=tuple(islice(echoes(verdict), _MOST_ECHOES)),
    )


def _to_source(received: Envelope) -> Envelope:
    """Return how to answer to where an update came from (RFC 6275 §9.5.4)."""
    home_address = received.home_address or received.source
    is_from_home = received.source == home_address
    return Envelope(
        source=received.destination,
        destination=received.source,
        routing_header_home_address=None if is_from_home else home_address,
    )


def _seen_by_data(entry: CacheEntry) -> list[tuple[int | None, bytes]]:
    return [(each.bid, each.octets) for each in entry.bindings]
