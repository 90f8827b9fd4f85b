"""The tables [[rule]] of a file, and the rules that they make at either end."""

import re
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv6Address
from itertools import product
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf

from mcoa.dataplane.flow_selection import BoundFlow
from mcoa.dataplane.rules import PROTOCOLS, Match, Rule, Rules, Verb
from mcoa.engine.policy import FlowPolicy
from mcoa.runtime.config_values import (
    Address,
    AnyPrefix,
    Interface,
    Name,
    as_written,
    items,
    quoted_text,
    refusal,
    whole_number,
)
from mcoa.wire.selectors import Ipv6TrafficSelector

_RANGE: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_HIGHEST_PORT: Final = 0xFFFF
_HIGHEST_OCTET: Final = 0xFF


def _ports(value: object) -> range:
    hint = 'write a port, such as 443, or ports, such as "8000-8099"'
    if isinstance(value, int) and not isinstance(value, bool):
        first = last = value
    else:
        found = _RANGE.fullmatch(quoted_text(value, hint))
        if found is None:
            raise refusal(f"{as_written(value)} is no port", hint)
        first, last = int(found[1]), int(found[2] or found[1])
    if not 0 <= first <= last <= _HIGHEST_PORT:
        raise refusal(f"{as_written(value)} is out of range", f"ports are 0 to {_HIGHEST_PORT}")
    return range(first, last + 1)


def _protocol(value: object) -> int:
    known = ", ".join(f'"{name}"' for name in PROTOCOLS)
    hint = f"write one of {known}, or a number from 0 to {_HIGHEST_OCTET}"
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= _HIGHEST_OCTET:
            raise refusal(f"{value} is out of range", hint)
        return value
    text = quoted_text(value, hint)
    if text not in PROTOCOLS:
        raise refusal(f"{as_written(value)} is no protocol known here", hint)
    return PROTOCOLS[text]


def _verb(*choices: Verb) -> Callable[[object], Verb]:
    """Return the check of one of these words."""
    hint = "write one of " + ", ".join(f'"{each.value}"' for each in choices)

    def check(value: object) -> Verb:
        text = quoted_text(value, hint)
        if text not in {each.value for each in choices}:
            raise refusal(f"{as_written(value)} is none of the choices", hint)
        return Verb(text)

    return check


def _one_or_more(example: str) -> Callable[[object], tuple[object, ...]]:
    """Return the check of a value that may stand alone or in a list."""
    check = items(example)
    return lambda value: check(value if isinstance(value, list) else [value])


def _tables(value: object) -> tuple[object, ...]:
    if isinstance(value, dict):
        raise refusal("[rule] has single brackets", "write [[rule]], once for each rule")
    if not isinstance(value, list):
        raise refusal("rules are no tables", "write a table [[rule]] for each rule")
    return tuple(value)


_Ports = Annotated[InstanceOf[range], BeforeValidator(_ports)]
_AllPorts = Annotated[tuple[_Ports, ...], BeforeValidator(_one_or_more('[443, "8000-8099"]'))]
_Protocol = Annotated[int, BeforeValidator(_protocol)]
_Protocols = Annotated[tuple[_Protocol, ...], BeforeValidator(_one_or_more('["udp", "tcp"]'))]
_Dscp = Annotated[int, BeforeValidator(whole_number(0, 63))]
_AllDscp = Annotated[tuple[_Dscp, ...], BeforeValidator(_one_or_more("[46]"))]
_Label = Annotated[int, BeforeValidator(whole_number(0, 0xFFFFF))]
_Labels = Annotated[tuple[_Label, ...], BeforeValidator(_one_or_more("[74565]"))]
_Verb = Annotated[Verb, BeforeValidator(_verb(*Verb))]
_AgentVerb = Annotated[Verb, BeforeValidator(_verb(Verb.STICK, Verb.DUPLICATE))]
_Bid = Annotated[int, BeforeValidator(whole_number(1, 0xFFFF))]
_Bids = Annotated[tuple[_Bid, ...], BeforeValidator(_one_or_more("[1, 2]"))]
_Addresses = Annotated[
    tuple[Address, ...], BeforeValidator(_one_or_more('["2001:db8:1::100"]'))
]
_Interfaces = Annotated[tuple[Interface, ...], BeforeValidator(_one_or_more('["eth0"]'))]
_Links = Annotated[tuple[Name, ...], BeforeValidator(_one_or_more('["lte", "wifi"]'))]
_Prefixes = Annotated[
    tuple[AnyPrefix, ...], BeforeValidator(_one_or_more('["2001:db8:2::/64"]'))
]


class _Matching(BaseModel):
    """What flows a rule is for; what is absent matches all.

    Attributes:
        to: prefixes of the far end.
        port: of the far end.
        own_port: of the mobile node.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Name
    to: _Prefixes = ()
    port: _AllPorts = ()
    own_port: _AllPorts = ()
    protocol: _Protocols = ()
    dscp: _AllDscp = ()
    flow_label: _Labels = ()

    def selectors(self, home_address: IPv6Address | None) -> Iterator[Ipv6TrafficSelector]:
        """Yield what describes the packets of the far end, as the home agent sees them."""
        for prefix, port, own, protocol, dscp, label in product(
            self.to or (None,),
            self.port or (None,),
            self.own_port or (None,),
            self.protocol or (None,),
            self.dscp or (None,),
            self.flow_label or (None,),
        ):
            yield Ipv6TrafficSelector(
                start_source=None if prefix is None else prefix[0],
                end_source=None if prefix is None else prefix[-1],
                start_destination=home_address,
                start_flow_label=label,
                start_source_port=None if port is None else port[0],
                end_source_port=None if port is None else port[-1],
                start_destination_port=None if own is None else own[0],
                end_destination_port=None if own is None else own[-1],
                start_traffic_class=None if dscp is None else dscp << 2,
                start_next_header=protocol,
            )


class RuleSettings(_Matching):
    """One [[rule]] of a mobile node.

    Attributes:
        use: names of links; the order counts for Verb.STICK.
    """

    use: _Links
    how: _Verb = Verb.STICK

    def rule(self) -> Rule:
        """Return it as the forwarder has it."""
        return Rule(
            name=self.name,
            match=Match(
                to=self.to,
                ports=self.port,
                own_ports=self.own_port,
                protocols=frozenset(self.protocol),
                dscp=frozenset(self.dscp),
                flow_labels=frozenset(self.flow_label),
            ),
            verb=self.how,
            links=self.use,
        )


class AgentRuleSettings(_Matching):
    """One [[rule]] of a home agent, for mobile nodes that say nothing of flows.

    Attributes:
        use: BIDs; the order counts for Verb.STICK.
        home_address: of the mobile nodes; none for all.
        interface: by which packets of the far end come in; none for any.
    """

    use: _Bids
    how: _AgentVerb = Verb.STICK
    home_address: _Addresses = ()
    interface: _Interfaces = ()

    def bound_flows(self) -> Iterator[BoundFlow]:
        """Yield it as the forwarder has it."""
        for home_address in self.home_address or (None,):
            for selector in self.selectors(home_address):
                yield BoundFlow(
                    self.name,
                    selector,
                    self.use,
                    copies=self.how is Verb.DUPLICATE,
                    origins=self.interface,
                )


def flow_policies(
    settings: Iterable[RuleSettings], home_address: IPv6Address
) -> tuple[FlowPolicy, ...]:
    """Return what a home agent is told of the rules of a file (RFC 6089).

    No flow binding says `spread` or `lowest-latency`: there the agent follows the mobile node's
    packets. So it does for the rules after such a one, which it could take for the first.
    """
    made: list[FlowPolicy] = []
    for each in settings:
        if each.how not in {Verb.STICK, Verb.DUPLICATE}:
            break
        made += [
            FlowPolicy(
                fid=fid,
                selector=selector,
                links=each.use,
                copies=each.how is Verb.DUPLICATE,
                rule=each.name,
            )
            for fid, selector in enumerate(each.selectors(home_address), len(made) + 1)
        ]
    return tuple(made)


RuleTables = Annotated[tuple[RuleSettings, ...], BeforeValidator(_tables), Field(alias="rule")]
AgentRuleTables = Annotated[
    tuple[AgentRuleSettings, ...], BeforeValidator(_tables), Field(alias="rule")
]


def rules_of(settings: Iterable[RuleSettings]) -> Rules:
    """Return the rules of a file, in its order."""
    return Rules([each.rule() for each in settings])
