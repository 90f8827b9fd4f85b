"""What a mobile node has with one correspondent: tokens, bindings, and the next thing to say.

The correspondent takes one care-of address an update (RFC 5648 §3), each with the proof of a
return routability procedure of its own (RFC 6275 §11.7.2). As with the home agent, one update is
outstanding at a time, and it says what is wanted now.
"""

from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from math import inf
from random import Random
from typing import Final

from mcoa.binding.routability import MAX_RR_BINDING_LIFETIME_S
from mcoa.binding.sequence import is_newer, successor
from mcoa.binding.update_list import UpdateList
from mcoa.engine import answers, offers
from mcoa.engine.actions import Action, Envelope, Received, Report, Send
from mcoa.engine.authorization import is_signed
from mcoa.engine.offers import Offers
from mcoa.engine.pace import Window
from mcoa.engine.patience import IDLE_S, Patience
from mcoa.engine.policy import MobileNodePolicy
from mcoa.engine.proven_updates import Proof, proven_update
from mcoa.engine.routability_test import MAX_RO_FAILURE, CareOf, RoutabilityTest, Way
from mcoa.engine.wish import Wish, next_wish
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingRefreshRequest,
    CareOfTest,
    HomeTest,
)
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import BindingStatus, UpdateFlag

_SILENT_QUIET_S: Final = 30.0
_FIRST_TIMEOUT_S, _LONGEST_TIMEOUT_S = 1.0, 32.0

_HOME_NONCE_EXPIRED = frozenset(
    {BindingStatus.EXPIRED_HOME_NONCE_INDEX, BindingStatus.EXPIRED_NONCES}
)
_CARE_OF_NONCE_EXPIRED = frozenset(
    {BindingStatus.EXPIRED_CARE_OF_NONCE_INDEX, BindingStatus.EXPIRED_NONCES}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where the mobile node is: what may be bound, and how home tests travel."""

    offered: Offers
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outstanding:
    """An update that waits for its acknowledgement."""

    sequence: int
    wish: Wish
    source: IPv6Address
    sent_at_s: float
    due_s: float
    proof: Proof


class Correspondence:
    """Keeps a correspondent's bindings equal to the care-of addresses, while it is talked to."""

    def __init__(
        self, peer: IPv6Address, policy: MobileNodePolicy, *, rng: Random, now: float
    ) -> None:
        self.peer = peer
        self.patience = Patience(now)
        self.update_list = UpdateList(link.bid for link in policy.links if link.bid)
        self.uses_bids = policy.multiple_care_of
        self._policy = policy
        self._rng = rng
        self._tests = RoutabilityTest(policy.home_address, peer, rng)
        self._around = Surroundings(offered={}, ways=())
        self._sequence = rng.randrange(0x10000)
        self._afresh = True
        self._window = Window()
        self._outstanding: _Outstanding | None = None
        self._attempts: dict[int | None, int] = {}
        self._due_s = -inf

    # What the owner asks.

    @property
    def direct(self) -> frozenset[bytes]:
        """The care-of addresses, sixteen octets each, that the correspondent has bound."""
        held = (each.held for each in self.update_list if each.is_usable)
        return frozenset(address.packed for address in held if address is not None)

    @property
    def state(self) -> str:
        """What an operator sees of it, in a word."""
        if any(entry.is_usable for entry in self.update_list):
            return "direct"
        return "tunnelled" if self.patience.has_failed else "testing"

    def is_over(self, now: float) -> bool:
        """Tell whether nothing is left that would have to be remembered."""
        is_of_interest = self.patience.is_used(now) or not self.patience.is_awake(now)
        return not is_of_interest and not self.holds_something

    @property
    def holds_something(self) -> bool:
        """Whether the correspondent may have bindings of ours."""
        return any(e.held is not None or e.doubtful for e in self.update_list)

    def next_deadline(self) -> float:
        """Return when step() is due."""
        return self._due_s

    # What happens.

    def surround(self, around: Surroundings) -> None:
        """Take in where the mobile node is now; step() draws the consequences."""
        if around == self._around:
            return
        self._around = around
        self._wish()

    def home_tested(self, message: HomeTest, now: float) -> list[Action]:
        """Take in a Home Test."""
        return [*self._tests.home_tested(message), *self.step(now)]

    def care_of_tested(
        self, message: CareOfTest, address: IPv6Address, now: float
    ) -> list[Action]:
        """Take in a Care-of Test to one of our care-of addresses."""
        named = (each for each in message.identifiers if isinstance(each, BindingIdentifier))
        actions = self._tests.care_of_tested(message, address)
        is_prohibited = any(each.status is BindingStatus.MCOA_PROHIBITED for each in named)
        if not actions and is_prohibited and self.uses_bids:
            actions += self._use_no_identifiers()
        return [*actions, *self.step(now)]

    def acknowledged(
        self, message: BindingAcknowledgement, received: Received, now: float
    ) -> list[Action]:
        """Take in an acknowledgement, as it was received (RFC 6275 §11.7.3)."""
        outstanding = self._outstanding
        if outstanding is None or received.envelope.destination != outstanding.source:
            return [Report(event="acknowledgement-unexpected")]
        is_about_nonces = message.status in _HOME_NONCE_EXPIRED | _CARE_OF_NONCE_EXPIRED
        if not is_about_nonces and not is_signed(
            message,
            received.header,
            outstanding.proof.key,
            care_of_address=outstanding.proof.address,
            correspondent=self.peer,
        ):
            return [Report(event="acknowledgement-without-proof")]
        if message.status is BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW:
            return self._resynchronise(message.sequence, outstanding, now)
        if message.sequence != outstanding.sequence:
            return [Report(event="acknowledgement-unexpected")]
        self._outstanding = None
        reports: list[Action] = []
        if is_about_nonces:
            self._nonces_expired(message.status, outstanding)
        else:
            reports = self._answered(message, outstanding, now)
        return [*reports, *self.step(now)]

    def refresh_requested(self, message: BindingRefreshRequest, now: float) -> list[Action]:
        """Refresh what it asks for (RFC 5648 §5.8), with new proof where that is too old."""
        named = {identifier.bid for identifier in message.identifiers}
        for entry in self.update_list:
            if entry.held is not None and (not named or entry.bid in named):
                entry.refresh_at_s = now
        return self.step(now)

    def forgotten(self, now: float) -> list[Action]:
        """Begin anew: it has told that it holds nothing of us (RFC 6275 §11.3.6).

        It may tell so several times, of each packet that was under way; and whoever says it in
        its place shall not have us begin anew without end.
        """
        if not self.direct or not self.patience.believes_forgotten(now):
            return []
        for entry in self.update_list:
            entry.forget()
        self._begin_anew()
        report = Report(event="correspondent-forgot-us", detail=str(self.peer))
        return [report, *self.step(now)]

    def suspected(self, now: float) -> list[Action]:
        """Look again at what it has bound: a packet of it came by way of the home agent.

        It may have forgotten us, or be a node that knows no mobility by now (RFC 6275 §11.7.2).
        Others could have sent that packet, so nothing is given up before it stays silent. And there
        are packets that never go straight: in vain it is looked into ever more seldom.
        """
        if not self.patience.looks_into_doubt(now):
            return self.step(now)
        self._tests.knock(now)
        for entry in self.update_list:
            if entry.held is not None:
                entry.refresh_at_s = now
        return self.step(now)

    def does_not_know(self, cookie: bytes, now: float) -> list[Action]:
        """Leave it alone: its answer to one of our tests is that it knows none."""
        if not self._tests.is_unknown_to_peer(cookie):
            return []
        return self._fail("correspondent-knows-no-test", now)

    def leave(self, now: float) -> list[Action]:
        """De-register everything, without waiting for an answer; once, at the end."""
        token, source = self._tests.home_token(now), self._any_source()
        holds = self.holds_something
        for entry in self.update_list:
            entry.forget()
        if token is None or source is None or not holds:
            return []
        wish = Wish(items=(), deregisters=True)
        return [self._make_update(wish, source[0], source[1], now, acknowledged=False)]

    def step(self, now: float, *, supersede: bool = False) -> list[Action]:
        """Test, bind, refresh and give up, whatever is due.

        Args:
            now: monotonic seconds.
            supersede: something happened that makes the update under way out of date.
        """
        self._expire(now)
        actions: list[Action] = []
        is_awake = self.patience.try_again(now)
        if is_awake and self.patience.is_used(now) and self._has_business():
            actions += self._tests.request(self._around.ways, now)
            if self._tests.has_failed:
                return [*actions, *self._fail("correspondent-silent", now)]
        if is_awake:
            actions += self._update(now, supersede=supersede)
        self._arm(now)
        return actions

    # Within.

    def _begin_anew(self) -> None:
        self._tests.begin_anew()
        self._afresh, self._outstanding = True, None
        self._attempts.clear()
        self.patience.was_right()

    def _fail(self, event: str, now: float) -> list[Action]:
        """Use the tunnel for a while, whatever the correspondent may hold (RFC 6275 §11.6.3)."""
        for entry in self.update_list:
            entry.forget()
        self._begin_anew()
        self.patience.failed(now)
        self._arm(now)
        return [Report(event=event, detail=str(self.peer))]

    def _has_business(self) -> bool:
        """Tell whether there is anything to bind, or to delete."""
        return any(e.wanted or e.held or e.doubtful for e in self.update_list)

    def _wish(self) -> None:
        """Want what the links offer, and have each address tested."""
        links, offered = self._policy.links, self._around.offered
        if self.uses_bids:
            offers.wish_for_each(self.update_list, links, offered, self._policy.home_address)
        else:
            offers.wish_for_one(self.update_list, links, offered)
        self._tests.concern(_care_of(self.update_list))

    def _use_no_identifiers(self) -> list[Action]:
        self.uses_bids = False
        self.update_list.clear()
        self._attempts.clear()
        self._wish()
        return [Report(event="correspondent-knows-no-bid", detail=str(self.peer))]

    def _update(self, now: float, *, supersede: bool) -> list[Action]:
        """Say the next thing, unless an answer is to be waited for."""
        outstanding = self._outstanding
        if outstanding is not None and now < outstanding.due_s and not supersede:
            return []
        reports = self._unanswered(outstanding, now) if outstanding else []
        wish = self._next_wish(now)
        source = None if wish is None else self._source_of(wish)
        if wish is None or source is None:
            self._outstanding = None
            return reports
        if self._outstanding is not None and self._outstanding.wish == wish:
            return reports  # that is just what is under way
        if not self._window.allows(now):
            self._outstanding = None
            return reports
        for entry in self.update_list:
            if wish.speaks_of(entry):
                entry.doubtful = True
        return [*reports, self._make_update(wish, *source, now)]

    def _unanswered(self, outstanding: _Outstanding, now: float) -> list[Action]:
        """Note that an update was not answered in time; others may come first now."""
        if now < outstanding.due_s:
            return []
        self._outstanding = None
        reports: list[Action] = []
        for item in outstanding.wish.items:
            attempts = self._attempts[item.bid] = self._attempts.get(item.bid, 0) + 1
            entry = self.update_list.get(item.bid)
            if attempts >= MAX_RO_FAILURE and entry is not None:
                self._attempts[item.bid] = 0
                entry.quiet_until_s = now + _SILENT_QUIET_S
                if entry.wanted is None:
                    entry.forget()  # it expires there without our help
                what = f"{self.peer}, BID {item.bid or '-'}"
                reports.append(Report(event="correspondent-silent", detail=what))
        return reports

    def _next_wish(self, now: float) -> Wish | None:
        if self._tests.home_token(now) is None:
            return None
        provable = [
            entry
            for entry in self.update_list
            if entry.wanted is None or self._tests.care_of_token(entry.wanted, now)
        ]
        provable.sort(key=lambda entry: self._attempts.get(entry.bid, 0))
        if not self.patience.is_used(now):
            provable = [entry for entry in provable if entry.wanted is None]
        return next_wish(provable, afresh=self._afresh, bulk=False, now=now)

    def _source_of(self, wish: Wish) -> tuple[IPv6Address, str] | None:
        """Return where to send from: what is bound; what is deleted, from any other address."""
        if wish.deregisters:
            return self._any_source(sum(self._attempts.get(i.bid, 0) for i in wish.items))
        entry = self.update_list.get(wish.items[0].bid)
        if entry is None or entry.wanted is None:
            return None
        return entry.wanted, entry.link

    def _any_source(self, attempt: int = 0) -> tuple[IPv6Address, str] | None:
        live = [
            (address, link.name)
            for link in self._policy.links
            for address in self._around.offered.get(link.name, ())
        ]
        if live:
            return live[attempt % len(live)]
        # On the home link, the home address itself may say that all is over.
        at_home = [way for way in self._around.ways if not way.tunnelled]
        return (self._policy.home_address, at_home[0].link) if at_home else None

    def _make_update(
        self,
        wish: Wish,
        source: IPv6Address,
        link: str,
        now: float,
        *,
        acknowledged: bool = True,
    ) -> Send:
        self._sequence = successor(self._sequence)
        home_address = self._policy.home_address
        home_token = self._tests.home_token(now)
        care_of_token = None if wish.deregisters else self._tests.care_of_token(source, now)
        if home_token is None or (care_of_token is None and not wish.deregisters):
            raise ValueError("an update needs the tokens that prove it")
        proof = Proof.of(
            home_token, care_of_token, home_address if wish.deregisters else source
        )
        flags = UpdateFlag.ACKNOWLEDGE if acknowledged else UpdateFlag(0)
        if acknowledged:
            self._expect(wish, source, proof, now)
        envelope = Envelope(
            source=source,
            destination=self.peer,
            home_address=None if source == home_address else home_address,
            link=link,
        )
        message = proven_update(
            wish, proof, self._sequence, flags, source=source, correspondent=self.peer
        )
        return Send(message=message, envelope=envelope)

    def _expect(self, wish: Wish, source: IPv6Address, proof: Proof, now: float) -> None:
        attempts = max((self._attempts.get(item.bid, 0) for item in wish.items), default=0)
        timeout_s = min(_FIRST_TIMEOUT_S * 2**attempts, _LONGEST_TIMEOUT_S)
        self._outstanding = _Outstanding(
            sequence=self._sequence,
            wish=wish,
            source=source,
            sent_at_s=now,
            due_s=now + timeout_s,
            proof=proof,
        )

    def _nonces_expired(self, status: BindingStatus, outstanding: _Outstanding) -> None:
        if status in _HOME_NONCE_EXPIRED:
            self._tests.expire_home()
        if status in _CARE_OF_NONCE_EXPIRED:
            self._tests.expire_care_of(outstanding.source)

    def _resynchronise(
        self, last_accepted: int, outstanding: _Outstanding, now: float
    ) -> list[Action]:
        """Adopt its sequence number, unless an overtaken copy was refused."""
        if last_accepted == outstanding.sequence:
            return []
        if is_newer(outstanding.sequence, last_accepted):
            return []
        self._sequence, self._outstanding = last_accepted, None
        return self.step(now)

    def _answered(
        self, message: BindingAcknowledgement, outstanding: _Outstanding, now: float
    ) -> list[Action]:
        wish = outstanding.wish
        reading = answers.read(wish, message, lifetime_s=MAX_RR_BINDING_LIFETIME_S)
        if reading.peer_lacks is not None:
            return self._fall_back(reading, outstanding, now)
        if reading.overwrite_next:
            self._afresh = True
            return []
        reports: list[Action] = []
        if any(not status.is_rejection for status in reading.answers.values()):
            self._afresh &= wish.overwrites and reading.unanswered
            self.patience.succeeded()
        refresh_s = answers.refresh_after_s(reading, self._rng)
        for entry in list(self.update_list):
            answer = reading.answers.get(entry.bid)
            if answer is not None:
                self._attempts.pop(entry.bid, None)
                reports += answers.apply(
                    entry, answer, outstanding, reading.lifetime_s, refresh_s, now
                )
            elif reading.deletes_unnamed and wish.speaks_of(entry):
                entry.forget()
        return reports

    def _fall_back(
        self, reading: answers.Reading, outstanding: _Outstanding, now: float
    ) -> list[Action]:
        """Have one plain binding with a peer that knows no BID (RFC 5648 §5.7)."""
        reports = self._use_no_identifiers()
        plain = self.update_list.get(None)
        if plain is None or not reading.peer_made_plain_binding:
            return reports
        # It has bound the address that the update came from: keep it.
        links = [each for each, at in self._around.offered.items() if outstanding.source in at]
        if links:
            plain.link = links[0]
            plain.want(outstanding.source)
            plain_wish = replace(outstanding.wish, items=())
            sent = replace(outstanding, wish=plain_wish)
            refresh_s = answers.refresh_after_s(reading, self._rng)
            reports += answers.apply(
                plain, reading.status, sent, reading.lifetime_s, refresh_s, now
            )
            self._afresh = False
        self._tests.concern(_care_of(self.update_list))
        return reports

    def _expire(self, now: float) -> None:
        for entry in self.update_list:
            if entry.expires_at_s <= now:
                entry.forget()

    def _arm(self, now: float) -> None:
        """Find out when there is something to do, if nothing happens."""
        patience = self.patience
        times = [patience.quiet_until_s, patience.used_at_s + IDLE_S]
        for entry in self.update_list:
            times += (entry.expires_at_s, entry.refresh_at_s, entry.quiet_until_s)
        if self._outstanding is not None:
            times.append(self._outstanding.due_s)
        times = [each for each in times if each > now]
        is_awake, is_used = patience.is_awake(now), patience.is_used(now)
        if is_awake and is_used and self._around.ways and self._has_business():
            times.append(self._tests.due_s(now))
        wish = self._next_wish(now) if is_awake and self._outstanding is None else None
        if wish is not None and self._source_of(wish) is not None:
            times.append(self._window.next_s(now))  # it was held back
        self._due_s = min(times, default=inf)


def _care_of(entries: UpdateList) -> list[CareOf]:
    return [
        CareOf(address=entry.wanted, link=entry.link, bid=entry.bid)
        for entry in entries
        if entry.wanted is not None
    ]
