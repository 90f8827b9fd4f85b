"""A mobile node on the bench: links come and go, the test answers as the home agent."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address
from random import Random

from mcoa.engine.actions import Action, Discovery, Envelope, Received, Send
from mcoa.engine.mobile_node import MobileNode
from mcoa.engine.policy import LinkPolicy, MobileNodePolicy
from mcoa.wire.messages import BindingAcknowledgement, BindingUpdate, Message
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import BindingStatus as Status
from mcoa.wire.registry import UpdateFlag

AGENT = IPv6Address("2001:db8:1::1")
HOME = IPv6Address("2001:db8:1::100")
LTE, WIFI, SAT = (IPv6Address(f"2001:db8:{net}::1") for net in "abc")
MAC = bytes.fromhex("020000000064")
LINKS = {"lte": LTE, "wifi": WIFI, "sat": SAT}
POLICY = MobileNodePolicy(
    home_address=HOME,
    home_agent=AGENT,
    links=tuple(LinkPolicy(name=name, bid=bid) for bid, name in enumerate(LINKS, 1)),
    lifetime_s=100,
)


@dataclass
class Bench:
    """Drives a node; `updates` are those not looked at yet, oldest first."""

    policy: MobileNodePolicy = POLICY
    now: float = 0.0
    actions: list[Action] = field(default_factory=list)
    updates: list[Send] = field(default_factory=list)
    everything: list[Send] = field(default_factory=list)
    node: MobileNode = field(init=False)

    def __post_init__(self) -> None:
        self.node = MobileNode(self.policy, rng=Random(3))

    def _take(self, actions: list[Action]) -> list[Action]:
        self.actions = actions
        sent = [action for action in actions if isinstance(action, Send)]
        self.everything += sent
        self.updates += [each for each in sent if isinstance(each.message, BindingUpdate)]
        return actions

    def link(self, name: str, *addresses: IPv6Address) -> list[Action]:
        return self._take(self.node.links_changed(name, addresses, self.now))

    def home(self, name: str | None, address: bytes = MAC) -> list[Action]:
        """Find the home link at a link, or leave it."""
        mac = b"" if name is None else address
        return self._take(self.node.home_link_changed(name, mac, self.now))

    def talk_to(self, correspondent: IPv6Address) -> list[Action]:
        """See a packet to or from a correspondent."""
        return self._take(self.node.correspondent_used(correspondent, self.now))

    def hear(self, message: Message, envelope: Envelope) -> list[Action]:
        """Take a message as it came."""
        received = Received(message=message, envelope=envelope)
        return self._take(self.node.receive(received, self.now))

    def avoid(self, links: Collection[str]) -> list[Action]:
        """Let packets use no more of these links, though they are registered."""
        return self._take(self.node.links_avoided(links, self.now))

    def all_links(self) -> None:
        for name, address in LINKS.items():
            self.link(name, address)

    def registered(self) -> "Bench":
        """Bring all links up and let the agent accept them."""
        self.all_links()
        self.answer()
        assert self.usable() == {1: LTE, 2: WIFI, 3: SAT}
        return self

    def advance(self, seconds: float) -> list[Action]:
        """Let time pass from deadline to deadline."""
        end = self.now + seconds
        actions: list[Action] = []
        while (due := self.node.next_deadline()) is not None and due <= end:
            self.now = max(due, self.now)
            actions += self._take(self.node.handle_timer(self.now))
        self.now = end
        return actions

    def until_due(self) -> float:
        """Let time pass to the next deadline; return how long that was."""
        due = self.node.next_deadline()
        assert due is not None
        passed_s = due - self.now
        self.advance(passed_s)
        return passed_s

    def stop(self) -> None:
        self._take(self.node.stop(self.now))

    def update(self) -> BindingUpdate:
        """Return the newest update; there must be one."""
        message = self.updates[-1].message
        assert isinstance(message, BindingUpdate)
        return message

    def said(self) -> dict[int, IPv6Address | None]:
        """Return what the newest update said, BID to address."""
        return {i.bid: i.care_of_address for i in self.update().identifiers}

    @property
    def overwrote(self) -> bool:
        return UpdateFlag.OVERWRITE in self.update().flags

    def answer(
        self,
        status: Status = Status.ACCEPTED,
        *,
        options: dict[int, Status] | None = None,
        sequence: int | None = None,
        lifetime_s: int | None = None,
        extra: tuple[object, ...] = (),
    ) -> list[Action]:
        """Answer the newest update; without `options` its BIDs are echoed."""
        update = self.update()
        if options is None:
            options = dict.fromkeys(self.said(), Status.ACCEPTED)
        message = BindingAcknowledgement(
            status=status,
            sequence=update.sequence if sequence is None else sequence,
            lifetime_s=update.lifetime_s if lifetime_s is None else lifetime_s,
            options=(
                *extra,
                *(BindingIdentifier(bid=bid, status=said) for bid, said in options.items()),
            ),
        )
        envelope = self.updates[-1].envelope
        return self.deliver(message, envelope.source, source=envelope.destination)

    def deliver(
        self,
        message: Message | Discovery,
        destination: IPv6Address,
        *,
        source: IPv6Address = AGENT,
        home_address: IPv6Address | None = HOME,
    ) -> list[Action]:
        envelope = Envelope(
            source=source, destination=destination, routing_header_home_address=home_address
        )
        return self.deliver_in(message, envelope)

    def deliver_in(self, message: Message | Discovery, envelope: Envelope) -> list[Action]:
        received = Received(message=message, envelope=envelope)
        return self._take(self.node.receive(received, self.now))

    def sent(self) -> list[Send]:
        """Return what the last event sent."""
        return [action for action in self.actions if isinstance(action, Send)]

    def usable(self) -> dict[int | None, IPv6Address]:
        return {path.bid: path.care_of_address for path in self.node.paths()}

    def with_policy(self, **changes: object) -> "Bench":
        return Bench(policy=replace(self.policy, **changes))
