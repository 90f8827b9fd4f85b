"""What befalls a mobile node's links besides a cut: other prefixes, other networks, no device.

Everything here changes the network around the mobile node; the node has to find out.
"""

from ipaddress import IPv6Network

from mcoa.lab.namespaces import Namespace, run
from mcoa.lab.router import Advertised
from mcoa.lab.topology import CORE, MOBILE_NODE, Network

DRAWER = "drawer"
"""The namespace where an unplugged interface lies."""


def renumber(
    network: Network, name: str, *prefixes: IPv6Network, ending: tuple[IPv6Network, ...] = ()
) -> None:
    """Give an access network these prefixes; `ending` ones are said to have no time left.

    Those are still routed. Others that it had before are not, without a word about their end.
    """
    link = network.topology.link(name)
    core, router = network[CORE], network[link.router]
    transit = link.transit
    run("ip", "-n", core.full_name, "-6", "route", "flush", "via", str(transit[2]))
    for prefix in (*prefixes, *ending):
        core.ip(f"route replace {prefix} via {transit[2]}")
        router.ip(f"address replace {prefix[1]}/64 dev radio nodad")
    told = [Advertised(prefix=prefix) for prefix in prefixes]
    told += [Advertised(prefix=prefix, ending=True) for prefix in ending]
    network.advertise(name, *told)


def roam(network: Network, name: str, prefix: IPv6Network, *, router: int) -> None:
    """Take the mobile node out of the reach of one network of a link and into another.

    The link is without a carrier for more than a second. The other network has another
    router, whose addresses end in the number `router`; nobody says good-bye for the first.
    """
    link = network.topology.link(name)
    network.cut(name)
    there = network[link.router]
    there.ip(
        "address flush dev radio",
        f"link set radio address 02:00:00:00:00:{router:02x}",
        f"address add fe80::{router:x}/64 dev radio nodad",
    )
    renumber(network, name, prefix)
    network.restore(name)


def unplug(network: Network, name: str, *, node: str = MOBILE_NODE) -> None:
    """Take an interface out of a node."""
    drawer = _drawer(network)
    network[node].ip(f"link set {name} netns {drawer.full_name}")


def plug_in(network: Network, name: str, *, node: str = MOBILE_NODE) -> None:
    """Put an interface back; it has the number it had, unless that is taken, and no address."""
    _drawer(network).ip(f"link set {name} netns {network[node].full_name}")
    network[node].ip(f"link set {name} up")


def narrow(network: Network, name: str, mtu: int) -> None:
    """Let the hop between core and access router of a link take packets of `mtu` octets."""
    link = network.topology.link(name)
    network[CORE].ip(f"link set {name} mtu {mtu}")
    network[link.router].ip(f"link set core mtu {mtu}")


def _drawer(network: Network) -> Namespace:
    if DRAWER not in dict(network.namespaces.names()):
        return network.namespaces.add(DRAWER)
    return network.namespaces[DRAWER]
