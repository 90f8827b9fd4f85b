"""A home agent on the bench: one mobile node's updates in, acknowledgements out."""

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from mcoa.engine.actions import Action, Discovery, Envelope, Received, Send
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.policy import HomeAgentPolicy, HomePrefix
from mcoa.wire.messages import BindingAcknowledgement, BindingUpdate, Message
from mcoa.wire.options import BindingIdentifier, MalformedBindingIdentifier
from mcoa.wire.registry import BindingStatus as Status
from mcoa.wire.registry import UpdateFlag

AGENT = IPv6Address("2001:db8:1::1")
HOME = IPv6Address("2001:db8:1::100")
OTHER_HOME = IPv6Address("2001:db8:1::200")
LTE, WIFI, SAT = (IPv6Address(f"2001:db8:{net}::1") for net in "abc")
POLICY = HomeAgentPolicy(
    address=AGENT,
    home_prefixes=(HomePrefix(network=IPv6Network("2001:db8:1::/64")),),
    detect_duplicates=False,
)
REGISTER = UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME
OVERWRITE = REGISTER | UpdateFlag.OVERWRITE


def bid(
    number: int, address: IPv6Address | IPv4Address | None = None, *, home: bool = False
) -> BindingIdentifier:
    return BindingIdentifier(bid=number, care_of_address=address, home=home)


@dataclass
class Bench:
    """Sends updates with rising sequence numbers from `source`."""

    policy: HomeAgentPolicy = POLICY
    home: IPv6Address = HOME
    source: IPv6Address = LTE
    sequence: int = 0
    now: float = 0.0
    actions: list[Action] = field(default_factory=list)
    agent: HomeAgent = field(init=False)

    def __post_init__(self) -> None:
        self.agent = HomeAgent(self.policy)

    def send(
        self,
        *options: object,
        flags: UpdateFlag = REGISTER,
        lifetime_s: int = 60,
        sequence: int | None = None,
        home: IPv6Address | None = None,
        source: IPv6Address | None = None,
        at_home: bool = False,
    ) -> BindingAcknowledgement | None:
        """Send one update, perhaps from the home link; return what is answered at once."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        message = BindingUpdate(
            sequence=sequence, flags=flags, lifetime_s=lifetime_s, options=tuple(options)
        )
        home = home or self.home
        envelope = Envelope(
            source=home if at_home else source or self.source,
            destination=AGENT,
            home_address=None if at_home else home,
        )
        self.deliver(message, envelope)
        return self.acknowledgement()

    def deliver(self, message: Message | Discovery, envelope: Envelope) -> None:
        self.actions = self.agent.receive(
            Received(message=message, envelope=envelope), self.now
        )

    def advance(self, seconds: float) -> list[Action]:
        self.now += seconds
        self.actions = self.agent.handle_timer(self.now)
        return self.actions

    def sent(self) -> list[Send]:
        return [action for action in self.actions if isinstance(action, Send)]

    def acknowledgement(self) -> BindingAcknowledgement | None:
        messages = [send.message for send in self.sent()]
        found = [m for m in messages if isinstance(m, BindingAcknowledgement)]
        assert len(found) <= 1
        return found[0] if found else None

    def bound(self, home: IPv6Address | None = None) -> dict[int | None, IPv6Address]:
        """Return the bindings of a home address, BID to care-of address."""
        return {b.bid: b.care_of_address for b in self.agent.bindings(home or self.home)}

    def with_policy(self, **changes: object) -> "Bench":
        return Bench(policy=replace(self.policy, **changes))


def statuses(
    acknowledgement: BindingAcknowledgement | None,
) -> tuple[Status, dict[int | None, Status]]:
    """Return the status of an acknowledgement, and those of its options by BID."""
    assert acknowledgement is not None
    options = {
        i.bid: Status(i.data[2]) if isinstance(i, MalformedBindingIdentifier) else i.status
        for i in acknowledgement.identifiers
    }
    return acknowledgement.status, options
