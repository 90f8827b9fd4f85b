"""What a mobile node on the bench asks and hears of home agents."""

from ipaddress import IPv6Address

from engine.bench_of_node import LTE, Bench
from mcoa.engine.actions import Report, Send
from mcoa.wire.icmpv6_mobility import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
)

SECOND, THIRD = IPv6Address("2001:db8:1::2"), IPv6Address("2001:db8:1::3")


def requests(bench: Bench) -> list[Send]:
    found = [each for each in bench.sent() if each.message.TYPE == 144]
    assert all(isinstance(each.message, HomeAgentAddressDiscoveryRequest) for each in found)
    return found


def identifier_of(request: Send) -> int:
    assert isinstance(request.message, HomeAgentAddressDiscoveryRequest)
    return request.message.identifier


def reply(bench: Bench, identifier: int, *addresses: IPv6Address) -> None:
    message = HomeAgentAddressDiscoveryReply(identifier=identifier, addresses=addresses)
    bench.deliver(message, LTE, source=SECOND, home_address=None)


def events(bench: Bench) -> list[str]:
    return [action.event for action in bench.actions if isinstance(action, Report)]
