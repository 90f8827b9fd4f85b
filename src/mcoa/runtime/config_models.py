"""The tables of a configuration file as frozen objects; what each key means is in `samples`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from mcoa.engine.policy import AtHome
from mcoa.runtime.config_rules import AgentRuleTables, RuleTables
from mcoa.runtime.config_values import (
    Address,
    Addresses,
    AgentIpv4Address,
    AnyPrefixes,
    AtHomeChoice,
    BackEndChoice,
    BindingIdentifierNumber,
    BindingsPerNode,
    CacheSize,
    CorrespondentLifetime,
    CorrespondentSecurity,
    Device,
    Directory,
    FamilyChoice,
    Flag,
    Interface,
    Interfaces,
    Lifetime,
    LinkMtu,
    Name,
    Preference,
    Prefix,
    Prefixes,
    ProbeInterval,
    ProbeMultiplier,
    Security,
    Weight,
    link_tables,
)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class HomeAgentSettings(_Table):
    """The table [home-agent].

    Attributes:
        address: the service address, which is routed to the device.
        max_lifetime_s: a multiple of four.
        mobile_nodes: home addresses that may register; None for all of the home prefixes.
        simultaneous_home: permit home and visited links at once.
        only_router: no other router is on the home link.
        advertise: send router advertisements on the home link.
        preference: in the advertisements and in discovery; higher is tried first.
        deprecated_prefixes: those of the home prefixes that are to be given up.
        flow_bindings: send flows where mobile nodes want them (RFC 6089).
        probe_interval_s: between two probes of a path that has traffic; 0 for no probes.
        probe_multiplier: answers in a row that are missed before a path is down.
        ipv4_address: where mobile nodes send from IPv4 networks; None for IPv6 alone.
    """

    address: Address
    home_link: Interface
    home_prefixes: Prefixes
    multiple_care_of: Flag = True
    bulk: Flag = True
    max_bindings_per_node: BindingsPerNode = 8
    max_lifetime_s: Lifetime = Field(default=600, alias="max_lifetime")
    duplicate_address_detection: Flag = True
    mobile_nodes: Addresses | None = None
    ipv4_address: AgentIpv4Address | None = None
    simultaneous_home: Flag = True
    only_router: Flag = False
    advertise: Flag = False
    preference: Preference = 0
    deprecated_prefixes: Prefixes = ()
    flow_bindings: Flag = True
    probe_interval_s: ProbeInterval = Field(default=0.1, alias="probe_interval")
    probe_multiplier: ProbeMultiplier = 3


class MobileNodeSettings(_Table):
    """The table [mobile-node].

    Attributes:
        home_agent: None to have one found (RFC 6275 §11.4.1).
        home_agent_ipv4: its IPv4 address; None for one that has none.
        other_home_agents: tried in this order when `home_agent` does not do.
        home_prefix: of the home link; None for the /64 of the home address.
        at_home: the links to use while one of them is the home link.
        lifetime_s: a multiple of four.
        route_optimization: correspondents to talk to directly.
        no_route_optimization: those of them that are left out.
        route_optimization_at_home: also while only the home link is used for the rest.
        probe_interval_s: between two probes of a path that has traffic; 0 for no probes.
        probe_multiplier: answers in a row that are missed before a path is down.
    """

    home_address: Address
    home_agent: Address | None = None
    home_agent_ipv4: AgentIpv4Address | None = None
    other_home_agents: Addresses = ()
    home_prefix: Prefix | None = None
    at_home: AtHomeChoice = AtHome.BOTH
    lifetime_s: Lifetime = Field(default=300, alias="lifetime")
    multiple_care_of: Flag = True
    bulk: Flag = True
    route_optimization: AnyPrefixes = ()
    no_route_optimization: AnyPrefixes = ()
    route_optimization_at_home: Flag = False
    probe_interval_s: ProbeInterval = Field(default=0.1, alias="probe_interval")
    probe_multiplier: ProbeMultiplier = 3


class CorrespondentSettings(_Table):
    """The table [correspondent], which any node may have.

    Attributes:
        interfaces: where mobile nodes' packets come in; None for a node whose other role says.
        max_home_addresses: for which bindings are kept.
        max_lifetime_s: a multiple of four.
    """

    interfaces: Interfaces | None = None
    multiple_care_of: Flag = True
    max_bindings_per_node: BindingsPerNode = 8
    max_home_addresses: CacheSize = 10_000
    max_lifetime_s: CorrespondentLifetime = Field(default=420, alias="max_lifetime")


class LinkSettings(_Table):
    """One [[link]] of a mobile node.

    Attributes:
        bid: None leaves the choice to the node.
        weight: usual Mbit/s; only its ratio to the other links counts.
        mtu: octets; None for that of the interface.
        home: it may be the home link now and then, and is looked at for that.
        family: of its care-of addresses.
    """

    name: Name
    interface: Interface
    bid: BindingIdentifierNumber | None = None
    weight: Weight = 10.0
    mtu: LinkMtu | None = None
    home: Flag = True
    family: FamilyChoice = "auto"


class _Node(_Table):
    name: Name
    device: Device = "mip0"
    dataplane: BackEndChoice = "auto"
    runtime_directory: Directory = Path("/run/mcoa")
    state_directory: Directory = Path("/var/lib/mcoa")

    @property
    def control_socket(self) -> Path:
        """Where the daemon of this node answers."""
        return self.runtime_directory / f"{self.name}.sock"

    @property
    def undo_journal(self) -> Path:
        """Where is written what the daemon of this node has set, for `mcoa cleanup`."""
        return self.runtime_directory / f"{self.name}.undo"

    @property
    def link_memory(self) -> Path:
        """Where is written what the daemon knows of its links, for the next one to begin with."""
        return self.runtime_directory / f"{self.name}.links"

    @property
    def store_directory(self) -> Path:
        """Where this node keeps what must survive a restart."""
        return self.state_directory / self.name


class HomeAgentConfiguration(_Node):
    """A file of role "home-agent"."""

    role: Literal["home-agent"]
    security: Security
    home_agent: HomeAgentSettings = Field(alias="home-agent")
    rules: AgentRuleTables = ()
    correspondent: CorrespondentSettings | None = None


class MobileNodeConfiguration(_Node):
    """A file of role "mobile-node"."""

    role: Literal["mobile-node"]
    security: Security
    mobile_node: MobileNodeSettings = Field(alias="mobile-node")
    links: Annotated[tuple[LinkSettings, ...], BeforeValidator(link_tables)] = Field(
        alias="link"
    )
    rules: RuleTables = ()
    correspondent: CorrespondentSettings | None = None


class CorrespondentConfiguration(_Node):
    """A file of role "correspondent"; its updates prove themselves, and need no other word."""

    role: Literal["correspondent"]
    security: CorrespondentSecurity = "return-routability"
    correspondent: CorrespondentSettings


Configuration = HomeAgentConfiguration | MobileNodeConfiguration | CorrespondentConfiguration

MODELS: dict[str, type[Configuration]] = {
    "home-agent": HomeAgentConfiguration,
    "mobile-node": MobileNodeConfiguration,
    "correspondent": CorrespondentConfiguration,
}
