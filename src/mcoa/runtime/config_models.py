"""The tables of a configuration file as frozen objects; what each key means is in `samples`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from mcoa.runtime.config_values import (
    Address,
    Addresses,
    BindingIdentifierNumber,
    BindingsPerNode,
    Directory,
    Flag,
    Interface,
    Lifetime,
    LinkMtu,
    Name,
    Prefixes,
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


class MobileNodeSettings(_Table):
    """The table [mobile-node].

    Attributes:
        lifetime_s: a multiple of four.
    """

    home_address: Address
    home_agent: Address
    lifetime_s: Lifetime = Field(default=300, alias="lifetime")
    multiple_care_of: Flag = True
    bulk: Flag = True


class LinkSettings(_Table):
    """One [[link]] of a mobile node.

    Attributes:
        bid: None leaves the choice to the node.
        weight: usual Mbit/s; only its ratio to the other links counts.
        mtu: octets; None for that of the interface.
    """

    name: Name
    interface: Interface
    bid: BindingIdentifierNumber | None = None
    weight: Weight = 10.0
    mtu: LinkMtu | None = None


class _Node(_Table):
    name: Name
    security: Security
    device: Interface = "mip0"
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
    def store_directory(self) -> Path:
        """Where this node keeps what must survive a restart."""
        return self.state_directory / self.name


class HomeAgentConfiguration(_Node):
    """A file of role "home-agent"."""

    role: Literal["home-agent"]
    home_agent: HomeAgentSettings = Field(alias="home-agent")


class MobileNodeConfiguration(_Node):
    """A file of role "mobile-node"."""

    role: Literal["mobile-node"]
    mobile_node: MobileNodeSettings = Field(alias="mobile-node")
    links: Annotated[tuple[LinkSettings, ...], BeforeValidator(link_tables)] = Field(
        alias="link"
    )


Configuration = HomeAgentConfiguration | MobileNodeConfiguration

MODELS: dict[str, type[Configuration]] = {
    "home-agent": HomeAgentConfiguration,
    "mobile-node": MobileNodeConfiguration,
}
