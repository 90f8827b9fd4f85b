"""The return routability procedure with one correspondent (RFC 6275 §11.6, RFC 5648 §9.3.1).

One home test and a care-of test for each care-of address run side by side. Each message that
is sent again has another cookie, and only the answer to the last one counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from math import inf
from random import Random
from typing import Final

from mcoa.binding.routability import COOKIE_LENGTH, MAX_TOKEN_LIFETIME_S
from mcoa.engine.actions import Action, Envelope, Report, Send
from mcoa.engine.pace import Window
from mcoa.wire.messages import CareOfTest, CareOfTestInit, HomeTest, HomeTestInit
from mcoa.wire.options import BindingIdentifier

MAX_RO_FAILURE: Final = 3  # RFC 6275 §12

_FIRST_TIMEOUT_S, _LONGEST_TIMEOUT_S = 1.0, 32.0
# A token is good for as long as it takes to use it, and renewed well before.
_USE_S: Final = 1.0
_RENEWED_AFTER_S: Final = 0.85 * MAX_TOKEN_LIFETIME_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a Home Test Init travels: through the tunnel over a link, or over the home link."""

    link: str
    tunnelled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CareOf:
    """A care-of address to be tested; `bid` None for a node that has one binding."""

    address: IPv6Address
    link: str
    bid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A keygen token of eight octets, and by which nonce the correspondent finds it again."""

    octets: bytes
    nonce_index: int
    asked_at_s: float

    def is_good(self, now: float) -> bool:
        """Tell whether it may be used (RFC 6275 §5.2.7)."""
        return now - self.asked_at_s < MAX_TOKEN_LIFETIME_S - _USE_S


@dataclass(slots=True, kw_only=True)
class _Test:
    """One of the tests.

    Attributes:
        cookie: of the message that waits for its answer; empty while none does.
        attempt: messages sent without an answer.
        due_s: when to send the next one.
    """

    token: Token | None = None
    cookie: bytes = b""
    sent_at_s: float = -inf
    attempt: int = 0
    due_s: float = -inf

    def ask(self, cookie: bytes, now: float) -> None:
        """Note that a message leaves."""
        self.cookie, self.sent_at_s = cookie, now
        self.due_s = now + min(_FIRST_TIMEOUT_S * 2**self.attempt, _LONGEST_TIMEOUT_S)
        self.attempt += 1

    def answer(self, message: HomeTest | CareOfTest) -> bool:
        """Take in an answer; False for one that was not asked for."""
        if not self.cookie or message.cookie != self.cookie:
            return False
        self.token = Token(
            octets=message.token, nonce_index=message.nonce_index, asked_at_s=self.sent_at_s
        )
        self.cookie, self.attempt = b"", 0
        self.due_s = self.sent_at_s + _RENEWED_AFTER_S
        return True

    def begin(self) -> None:
        """Test at once, without what was known."""
        self.token, self.cookie, self.attempt, self.due_s = None, b"", 0, -inf


class RoutabilityTest:
    """The tests with one correspondent.

    Attributes:
        has_failed: home tests go unanswered, or the correspondent does not know them.
    """

    def __init__(self, home_address: IPv6Address, peer: IPv6Address, rng: Random) -> None:
        self.has_failed = False
        self._home_address = home_address
        self._peer = peer
        self._rng = rng
        self._home = _Test()
        self._care_of: dict[CareOf, _Test] = {}
        self._home_window, self._care_of_window = Window(), Window()

    def begin_anew(self) -> None:
        """Forget all tokens: the correspondent has forgotten us, or will not take them."""
        self.has_failed = False
        self._home.begin()
        for test in self._care_of.values():
            test.begin()

    def knock(self, now: float) -> None:
        """Test the home address again, with what is known in use meanwhile."""
        self._home.due_s = min(self._home.due_s, now)

    def expire_home(self) -> None:
        """Forget the home keygen token, which the correspondent does not know any more."""
        self._home.begin()

    def expire_care_of(self, address: IPv6Address) -> None:
        """Forget a care-of keygen token likewise."""
        for care_of, test in self._care_of.items():
            if care_of.address == address:
                test.begin()

    def home_token(self, now: float) -> Token | None:
        """Return the home keygen token while it may be used."""
        token = self._home.token
        return token if token is not None and token.is_good(now) else None

    def care_of_token(self, address: IPv6Address, now: float) -> Token | None:
        """Return the keygen token of a care-of address while it may be used."""
        for care_of, test in self._care_of.items():
            if care_of.address == address and test.token is not None:
                return test.token if test.token.is_good(now) else None
        return None

    def concern(self, addresses: Iterable[CareOf]) -> None:
        """Have exactly these care-of addresses tested."""
        self._care_of = {each: self._care_of.get(each) or _Test() for each in addresses}

    def due_s(self, now: float) -> float:
        """Return when request() has something to send."""
        home_s = max(self._home.due_s, self._home_window.next_s(now))
        earliest_s = min((test.due_s for test in self._care_of.values()), default=inf)
        care_of_s = max(earliest_s, self._care_of_window.next_s(now))
        return min(home_s, care_of_s)

    def request(self, ways: Sequence[Way], now: float) -> list[Action]:
        """Send what is due; `ways` are those of the home test, the best first."""
        actions: list[Action] = []
        if self._home.due_s <= now and ways:
            if self._home.attempt >= MAX_RO_FAILURE:
                self.has_failed = True
                return []
            if self._home_window.allows(now):
                actions.append(self._home_test_init(ways, now))
        for care_of, test in self._care_of.items():
            if test.due_s <= now and self._care_of_window.allows(now):
                actions.append(self._care_of_test_init(care_of, test, now))
        return actions

    def _home_test_init(self, ways: Sequence[Way], now: float) -> Send:
        # Over another link than before: the first may be dead without anybody's notice.
        way = ways[self._home.attempt % len(ways)]
        self._home.ask(self._rng.randbytes(COOKIE_LENGTH), now)
        envelope = Envelope(
            source=self._home_address,
            destination=self._peer,
            link=way.link,
            tunnelled=way.tunnelled,
        )
        return Send(message=HomeTestInit(cookie=self._home.cookie), envelope=envelope)

    def _care_of_test_init(self, care_of: CareOf, test: _Test, now: float) -> Send:
        test.ask(self._rng.randbytes(COOKIE_LENGTH), now)
        options = () if care_of.bid is None else (BindingIdentifier(bid=care_of.bid),)
        envelope = Envelope(source=care_of.address, destination=self._peer, link=care_of.link)
        return Send(
            message=CareOfTestInit(cookie=test.cookie, options=options), envelope=envelope
        )

    def home_tested(self, message: HomeTest) -> list[Action]:
        """Take in a Home Test that came the way it has to (RFC 6275 §11.6.2)."""
        known = self._home.answer(message)
        return [] if known else [Report(event="test-unexpected", detail="home")]

    def care_of_tested(self, message: CareOfTest, address: IPv6Address) -> list[Action]:
        """Take in a Care-of Test that came to one of our care-of addresses."""
        for care_of, test in self._care_of.items():
            if care_of.address == address and test.answer(message):
                return []
        return [Report(event="test-unexpected", detail="care-of")]

    def is_unknown_to_peer(self, cookie: bytes) -> bool:
        """Tell whether a message with this cookie is one that waits for its answer."""
        tests = (self._home, *self._care_of.values())
        return bool(cookie) and any(test.cookie == cookie for test in tests)
