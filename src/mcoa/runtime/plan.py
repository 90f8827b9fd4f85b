"""What the daemon would set, in the words of ip(8) and sysctl(8): `mcoa run --dry-run`."""

from collections.abc import Iterator

from mcoa.engine.addresses import as_written, home_agents_anycast
from mcoa.engine.policy import AtHome
from mcoa.runtime.config_models import (
    Configuration,
    CorrespondentConfiguration,
    HomeAgentConfiguration,
    MobileNodeConfiguration,
)
from mcoa.runtime.correspondent import TABLE, beside
from mcoa.runtime.home_link import INNER_MTU
from mcoa.runtime.ipv4_addresses import ask_for_ipv4
from mcoa.runtime.links import LinkTable, care_of_addresses, describe_link
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.policies import mobile_node_policy
from mcoa.runtime.routing import (
    HOME_ROUTE_METRIC,
    uplink_routes,
    uplink_rules,
)
from mcoa.runtime.rtnetlink import DEFAULT_ROUTE, MAIN_TABLE, Route, RouteType, Rule


def plan(configuration: Configuration) -> Iterator[str]:
    """Yield one line for each thing that would be set with the links as they are now."""
    device = configuration.device
    yield f"ip link add {device} type tun"
    if configuration.dataplane != "userspace":
        yield f"# where the fast path is possible: tc filters that run its programs, on {device}'s"
        yield "# way out and on the way in of interfaces that mobile traffic comes in by"
    match configuration:
        case HomeAgentConfiguration():
            yield from _plan_agent(configuration)
            if configuration.correspondent is not None:
                yield f"ip link add {beside(device)} type tun"
                interfaces = configuration.correspondent.interfaces
                yield from _plan_correspondent(
                    beside(device), interfaces or (configuration.home_agent.home_link,)
                )
        case MobileNodeConfiguration():
            yield from _plan_node(configuration)
        case CorrespondentConfiguration():
            interfaces = configuration.correspondent.interfaces
            yield from _plan_correspondent(device, interfaces or ())


def _plan_agent(configuration: HomeAgentConfiguration) -> Iterator[str]:
    device, settings = configuration.device, configuration.home_agent
    link = settings.home_link
    named = sorted({name for rule in configuration.rules for name in rule.interface})
    for number, name in enumerate(named, 1):
        yield f"ip link add {device}-{number} type tun"
        yield f"# a tc filter that redirects what came in by {name} from {device} to it"
    yield "sysctl net.ipv6.conf.all.forwarding=1"
    yield "sysctl net.ipv6.conf.all.proxy_ndp=1"
    yield f"sysctl net.ipv6.conf.{link}.proxy_ndp=1"
    yield f"sysctl net.ipv6.neigh.{link}.proxy_delay=0"
    yield f"ip -6 route add {settings.address} dev {device}"
    yield f"ip -6 neigh add proxy {settings.address} dev {link}"
    for prefix in settings.home_prefixes:
        anycast = home_agents_anycast(prefix)
        yield f"ip -6 route add {anycast} dev {device}"
        yield f"ip -6 neigh add proxy {anycast} dev {link}"
    if settings.ipv4_address is not None:
        yield f"# UDP port 4191 of {settings.ipv4_address}, for mobile nodes in IPv4 networks"
        if configuration.dataplane != "userspace":
            yield f"sysctl net.ipv4.conf.{device}.forwarding=1"
    if settings.advertise:
        yield f"# router advertisements on {link}, every one to three seconds"
    yield f"# for each registered home address H of {', '.join(map(str, settings.home_prefixes))}:"
    yield f"#   ip -6 route add H dev {device} mtu lock {INNER_MTU}"
    yield f"#   ip -6 neigh add proxy H dev {link}"


def _plan_node(configuration: MobileNodeConfiguration) -> Iterator[str]:
    settings = configuration.mobile_node
    device, home_address = configuration.device, settings.home_address
    yield f"ip link add {device}-in type tun"
    yield f"ip -6 address add {home_address}/128 dev {device}"
    network = mobile_node_policy(configuration).home_network
    for where in ("default", network):
        yield (
            f"ip -6 route add {where} dev {device} src {home_address}"
            f" metric {HOME_ROUTE_METRIC}"
        )
    with Netlink() as netlink:
        table = LinkTable()
        table.reload(
            netlink.links(),
            netlink.addresses(),
            netlink.routes(table=MAIN_TABLE),
            netlink.neighbours(),
        )
        table.ipv4 = ask_for_ipv4(netlink)
    for number, link in enumerate(configuration.links):
        has_ipv4 = settings.home_agent_ipv4 is not None and link.family != "ipv6"
        state = table.state(link.interface, ipv4=has_ipv4)
        found = describe_link(state, family=link.family)
        yield f"# link {link.name} on {link.interface}: {found}"
        for care_of_address in care_of_addresses(state, link.family):
            if care_of_address.ipv4_mapped is not None:
                yield f"# UDP port 4191 of {as_written(care_of_address)}, for what IPv4 carries"
        if has_ipv4:
            yield f"sysctl net.ipv4.conf.{link.interface}.rp_filter=2  # where it is 1"
        yield f"sysctl net.ipv6.conf.{link.interface}.optimistic_dad=1"
        yield f"sysctl net.ipv6.conf.{link.interface}.use_optimistic=1"
        yield f"tc qdisc add dev {link.interface} clsact"
        yield (
            "# there, packets with a type 2 routing header or a mobility header, and tunnel"
            f" packets of the home agent, are redirected to {device}-in"
        )
        if link.home and configuration.mobile_node.at_home is not AtHome.FOREIGN:
            yield (
                f"# if a router advertises {network} there, and where it may be defended:"
                f" ip -6 address add {home_address}/128 dev {link.interface}, and routes by it"
            )
        for rule in sorted(uplink_rules(number, state), key=lambda each: str(each.source)):
            yield _rule(rule)
        for route in sorted(uplink_routes(number, state), key=lambda each: each.metric):
            yield _route(route, link.interface)


def _plan_correspondent(device: str, interfaces: tuple[str, ...]) -> Iterator[str]:
    yield f"ip link add {device}-in type tun"
    for interface in interfaces:
        yield f"tc qdisc add dev {interface} clsact"
        yield (
            "# there, packets with a Home Address option or a mobility header are redirected"
            f" to {device}-in"
        )
    yield "# for each home address H that is bound for an address A of this host:"
    yield f"#   ip -6 route add H dev {device} src A table {TABLE}"
    yield f"#   ip -6 rule add iif lo lookup {TABLE} priority {TABLE}"


def _rule(rule: Rule) -> str:
    return f"ip -6 rule add from {rule.source} lookup {rule.table} priority {rule.priority}"


def _route(route: Route, interface: str) -> str:
    where = "default" if route.destination == DEFAULT_ROUTE else str(route.destination)
    if route.kind is RouteType.UNREACHABLE:
        return f"ip -6 route add unreachable {where} table {route.table}"
    via = "" if route.gateway is None else f" via {route.gateway}"
    return f"ip -6 route add {where}{via} dev {interface} table {route.table}"
