"""What a configuration file means to an engine."""

from math import inf

from mcoa.engine.policy import (
    CorrespondentPolicy,
    HomeAgentPolicy,
    HomePrefix,
    LinkPolicy,
    MobileNodePolicy,
    MultipleCareOf,
)
from mcoa.runtime.config_models import (
    Configuration,
    HomeAgentConfiguration,
    MobileNodeConfiguration,
)
from mcoa.runtime.config_rules import flow_policies


def home_agent_policy(configuration: HomeAgentConfiguration) -> HomeAgentPolicy:
    """Return what a home agent is to obey."""
    settings = configuration.home_agent
    return HomeAgentPolicy(
        address=settings.address,
        home_prefixes=tuple(
            HomePrefix(
                network=each,
                preferred_until_s=-inf if each in settings.deprecated_prefixes else inf,
            )
            for each in settings.home_prefixes
        ),
        home_addresses=(
            None if settings.mobile_nodes is None else frozenset(settings.mobile_nodes)
        ),
        multiple_care_of=(
            MultipleCareOf.ALLOW if settings.multiple_care_of else MultipleCareOf.PROHIBIT
        ),
        bulk=settings.bulk,
        max_bindings_per_node=settings.max_bindings_per_node,
        max_lifetime_s=settings.max_lifetime_s,
        detect_duplicates=settings.duplicate_address_detection,
        simultaneous_home=settings.simultaneous_home,
        only_router=settings.only_router,
        preference=settings.preference,
        flow_bindings=settings.flow_bindings,
        ipv4=settings.ipv4_address is not None,
    )


def mobile_node_policy(configuration: MobileNodeConfiguration) -> MobileNodePolicy:
    """Return what a mobile node is to obey."""
    settings = configuration.mobile_node
    return MobileNodePolicy(
        home_address=settings.home_address,
        home_agent=settings.home_agent,
        home_agent_by_ipv4=settings.home_agent_ipv4 is not None,
        links=tuple(
            LinkPolicy(name=each.name, bid=each.bid, both_families=each.family == "both")
            for each in configuration.links
        ),
        lifetime_s=settings.lifetime_s,
        multiple_care_of=settings.multiple_care_of,
        bulk=settings.bulk,
        home_prefix_length=64
        if settings.home_prefix is None
        else settings.home_prefix.prefixlen,
        at_home=settings.at_home,
        other_home_agents=settings.other_home_agents,
        accepts_unprotected=configuration.security == "none",
        optimized=settings.route_optimization,
        not_optimized=settings.no_route_optimization,
        optimizes_at_home=settings.route_optimization_at_home,
        flows=flow_policies(configuration.rules, settings.home_address),
    )


def correspondent_policy(configuration: Configuration) -> CorrespondentPolicy:
    """Return what a correspondent is to obey, whatever else the node is."""
    settings = configuration.correspondent
    if settings is None:
        raise ValueError("the node is no correspondent")
    return CorrespondentPolicy(
        multiple_care_of=(
            MultipleCareOf.ALLOW if settings.multiple_care_of else MultipleCareOf.PROHIBIT
        ),
        max_bindings_per_node=settings.max_bindings_per_node,
        max_home_addresses=settings.max_home_addresses,
        max_lifetime_s=settings.max_lifetime_s,
    )
