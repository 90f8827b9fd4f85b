"""Sample configuration files, which are also the reference of every key.

A line that begins with "# key =" shows the default, or an example where there is none.
"""

from typing import Literal

Role = Literal["home-agent", "mobile-node", "correspondent"]

_NAME = """\
# The name of this node: of its control socket, in `mcoa show --node` and in the log.
# Absent: the name of this file without its ending.
# name = "{name}"

"""

_SECURITY = """\
# The protection of the signalling. This version has none, and says so in every status: who
# can send packets to the home agent can redirect or cut off the home address. The daemon
# runs only if you accept that here in so many words.
security = "none"

"""

_PLACES = """\
# The network device that mcoa makes: what is routed to it travels over the mobile links.
# A name of 12 letters at most: there may be others beside it, such as mip0-in.
# device = "mip0"

# What carries the packets: "ebpf", programs in the kernel; "userspace", the daemon alone;
# or "auto", the kernel where it can be done. `mcoa doctor FILE` says which, and why.
# dataplane = "auto"

# Where the control socket lies, and where bindings survive a restart.
# runtime_directory = "/run/mcoa"
# state_directory = "/var/lib/mcoa"
"""

_TOP = _NAME + _SECURITY + _PLACES
_TOP_OF_ANY = _NAME + _PLACES

_HOME_AGENT = (
    """\
# mcoa: a home agent (RFC 6275, RFC 5648).
# Check with `mcoa check FILE`; see what would be set with `mcoa run FILE --dry-run`.

role = "home-agent"

"""
    + _TOP.format(name="agent")
    + """
[home-agent]
# Where mobile nodes send their Binding Updates. An address of the home prefix that no
# interface has: it is routed to the device, and answered for on the home link.
address = "2001:db8:1::1"

# The interface to the home link, where the agent answers for nodes that are away.
home_link = "eth0"

# The prefixes that home addresses are out of.
home_prefixes = ["2001:db8:1::/64"]

# The home addresses that may register. Absent: any address of the home prefixes.
# mobile_nodes = ["2001:db8:1::100"]

# The IPv4 address of this machine at which mobile nodes are heard that have nothing but
# IPv4, perhaps behind a NAT (RFC 5555). An interface has it; UDP port 4191 has to be open.
# ipv4_address = "192.0.2.1"

# Several care-of addresses for one home address (RFC 5648). With false, updates that carry
# Binding Identifiers are refused with status 166.
# multiple_care_of = true

# Several Binding Identifiers in one update. With false, such updates get status 168.
# bulk = true

# How many care-of addresses one mobile node can have at a time: 1 to 100.
# max_bindings_per_node = 8

# The longest lifetime that is granted, "4s" to "72h 49m". The protocol counts in steps of
# 4 seconds; what lies between is rounded down.
# max_lifetime = "10m"

# Before a first registration, ask the home link whether another node has the home address
# (RFC 6275, 10.3.1). It costs a second, once for each node.
# duplicate_address_detection = true

# Mobile nodes may use the home link and visited ones at once (RFC 5648, 5.6). With false
# they get status 169, and use the home link alone while they are there.
# simultaneous_home = true

# No other router is on the home link. Only then can a mobile node at home answer for its
# address itself (status 0); else the agent goes on answering for it (status 5).
# only_router = false

# Send router advertisements on the home link, by which mobile nodes know that they are
# home, and other home agents of this one. As a default router only if it is the only one.
# advertise = false

# Among several home agents of the home link, higher is tried first: 0 to 65535.
# preference = 0

# Home prefixes that are to be given up: mobile nodes are told (status 1, RFC 6275, 10.6).
# deprecated_prefixes = ["2001:db8:1::/64"]

# Send flows down the links that the rules of mobile nodes name (RFC 6089). With false, a
# flow goes down the link over which its last packet came up, and no other wish counts.
# flow_bindings = true

# How often a path that has traffic is probed, "10ms" to "10s", or "off"; one without
# traffic once a second. After as many missed answers in a row as the multiplier says, its
# flows move, and they may come back when it answers again.
# probe_interval = "100ms"
# probe_multiplier = 3

# Where flows go down, for mobile nodes that say nothing of flows themselves; without a
# rule, a flow goes down the link over which its last packet came up. The first rule that
# matches decides: "stick" takes the first of these BIDs that is bound, "duplicate" all.
# [[rule]]
# name = "calls"
# use = [2, 1]
# how = "stick"

# Of which mobile nodes; absent: of all. What matches is as in the file of a mobile node:
# prefixes (to) and ports (port) of the far end, own_port, protocol, dscp, flow_label.
# home_address = ["2001:db8:1::100"]
# protocol = "udp"
# port = "5000-5100"

# Only what comes in here by one of these interfaces.
# interface = ["office0"]

# Be a correspondent too, for mobile nodes of other home agents: the keys of the table are
# those of `mcoa init correspondent`.
# [correspondent]
"""
)

_MOBILE_NODE = (
    """\
# mcoa: a mobile node with several uplinks (RFC 6275, RFC 5648).
# Check with `mcoa check FILE`; see what would be set with `mcoa run FILE --dry-run`.

role = "mobile-node"

"""
    + _TOP.format(name="van")
    + """
[mobile-node]
# The address that stays, whatever the uplinks do. It goes to the device, not to a link.
home_address = "2001:db8:1::100"

# The address of the home agent: `address` in its file. Absent: the node asks the home
# link's prefix for its home agents, which have to be reached by its anycast address.
home_agent = "2001:db8:1::1"

# Its IPv4 address, `ipv4_address` in its file, for uplinks that have nothing but IPv4. The
# addresses that they have may be behind NATs.
# home_agent_ipv4 = "192.0.2.1"

# Home agents to try, in this order, when that one is silent or takes one care-of address
# only.
# other_home_agents = ["2001:db8:1::2"]

# The prefix of the home link, by which the node knows when it is there. Absent: the /64 of
# the home address.
# home_prefix = "2001:db8:1::/64"

# What to use while one of the uplinks is the home link: "both" it and the visited ones,
# "home" alone, or the "foreign" ones alone. Agents that do not permit both get "home".
# at_home = "both"

# How long a registration is asked for, "4s" to "72h 49m"; it is refreshed in time. The
# protocol counts in steps of 4 seconds; what lies between is rounded down.
# lifetime = "5m"

# Register all uplinks, each with its Binding Identifier (RFC 5648). With false, the node
# registers one care-of address at a time, as plain Mobile IPv6 does.
# multiple_care_of = true

# Register several uplinks with one Binding Update.
# bulk = true

# Correspondents to talk to directly, past the home agent, where they know how (RFC 6275,
# 11.7.2): prefixes, of which ["::/0"] is everybody. They learn the care-of addresses.
# route_optimization = ["2001:db8:2::/64"]

# Those of them to leave out. Of two prefixes that match, the longer one decides.
# no_route_optimization = ["2001:db8:2::/80"]

# While the home link alone is used for the rest (at_home = "home"), go on talking to
# correspondents over the visited links (RFC 5648, figure 2).
# route_optimization_at_home = false

# How often a path that has traffic is probed, "10ms" to "10s", or "off"; one without
# traffic once a second. After as many missed answers in a row as the multiplier says, its
# flows move, and they may come back when it answers again.
# probe_interval = "100ms"
# probe_multiplier = 3

# One table for each uplink; the first is preferred where only one can be registered.
# Care-of addresses are what the interface has, however it came by them.
[[link]]
# The name of the uplink in the status and in the log.
name = "lte"

interface = "wwan0"

# The Binding Identifier, which stays with this uplink: 1 to 65535. Absent: the node
# chooses.
bid = 1

# The usual rate, as Mbit/s or as text such as "300 kbit/s": new flows are spread over the
# uplinks in this proportion. Absent: 10.
weight = 40

# The MTU of the uplink in octets, 1280 to 65535. Absent: that of the interface.
# mtu = 1500

# Whether this uplink may be the home link now and then. Of several that are, the first
# table's is used.
# home = true

# Which care-of addresses it is used with: "auto" takes those of IPv6 or, where there are
# none or the agent is not heard over IPv6, of IPv4; "ipv6" or "ipv4" takes only these. With
# "both" the link has two paths, and probes find out over which one packets arrive.
# family = "auto"

[[link]]
name = "wifi"
interface = "wlan0"
bid = 2
weight = 20

# Which links a class of flows uses. The first rule that matches decides; without one, new
# flows are spread over all links by weight. Both directions of a flow follow: the home
# agent is told (RFC 6089), or sends a flow down the link that its packets came up.
# [[rule]]
# name = "calls"

# The links, and how: "stick" takes the first one that is there, and comes back to it;
# "spread" takes the least loaded one; "lowest-latency" the one whose probes return soonest;
# "duplicate" sends a copy over each, of which the other end keeps the first. While none of
# them is there, any other link does.
# use = ["lte", "wifi"]
# how = "stick"

# What packets of this node have to be like; what is absent matches all. Prefixes and ports
# of the far end, own ports, "tcp", "udp", "icmpv6", "esp", "sctp" or numbers, values of the
# differentiated services field (0 to 63), and flow labels. Each may be one value or a list.
# to = ["2001:db8:2::/64"]
# port = [443, "8000-8099"]
# own_port = "5000-5999"
# protocol = ["udp", "tcp"]
# dscp = [46, 34]
# flow_label = [74565]

# Be a correspondent too, for mobile nodes of any home agent: the keys of the table are
# those of `mcoa init correspondent`, but for interfaces.
# [correspondent]
"""
)


_CORRESPONDENT = (
    """\
# mcoa: a correspondent, to which mobile nodes can talk directly (RFC 6275, RFC 5648).
# Check with `mcoa check FILE`; see what would be set with `mcoa run FILE --dry-run`.
# Home agents and mobile nodes are correspondents too when they have the table below; a
# mobile node's has no interfaces, for it is one at its home address.

role = "correspondent"

"""
    + _TOP_OF_ANY.format(name="server")
    + """
[correspondent]
# The interfaces by which mobile nodes reach this host, at whatever addresses they have.
interfaces = ["eth0"]

# Several care-of addresses for one home address (RFC 5648). With false, updates that carry
# Binding Identifiers are refused with status 166.
# multiple_care_of = true

# How many care-of addresses one mobile node can have at a time: 1 to 100.
# max_bindings_per_node = 8

# For how many home addresses bindings are kept. Beyond that, the /64 that has the most
# loses the one that was refreshed longest ago.
# max_home_addresses = 10000

# The longest lifetime that is granted, "4s" to "7m", in steps of 4 seconds.
# max_lifetime = "7m"
"""
)


def sample(role: Role) -> str:
    """Return the commented sample of a role, a valid configuration."""
    match role:
        case "home-agent":
            return _HOME_AGENT
        case "mobile-node":
            return _MOBILE_NODE
        case "correspondent":
            return _CORRESPONDENT
