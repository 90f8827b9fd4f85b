"""The samples are the reference: valid, complete, and true about defaults."""

import re
from typing import get_args

import pytest
from pydantic import BaseModel

from mcoa.runtime.config import (
    Configuration,
    CorrespondentConfiguration,
    CorrespondentSettings,
    HomeAgentConfiguration,
    HomeAgentSettings,
    LinkSettings,
    MobileNodeConfiguration,
    MobileNodeSettings,
    parse,
)
from mcoa.runtime.config_rules import RuleSettings
from mcoa.runtime.samples import Role, sample

ROLES = get_args(Role)
MODELS: dict[Role, tuple[type[BaseModel], ...]] = {
    "home-agent": (HomeAgentConfiguration, HomeAgentSettings),
    "mobile-node": (
        MobileNodeConfiguration,
        MobileNodeSettings,
        LinkSettings,
        RuleSettings,
    ),
    "correspondent": (CorrespondentConfiguration, CorrespondentSettings),
}


def read(text: str) -> Configuration:
    return parse(text, file="sample", default_name="default")


def with_all_keys(role: Role) -> str:
    """Return the sample with its optional keys switched on."""
    return re.sub(r"^# (?=[a-z_0-9]+ = |\[+[a-z]+\]+$)", "", sample(role), flags=re.MULTILINE)


@pytest.mark.parametrize("role", ROLES)
def test_a_sample_is_valid_as_it_is_and_with_every_key(role: Role) -> None:
    assert read(sample(role)).role == role
    assert read(with_all_keys(role)).role == role


@pytest.mark.parametrize("role", ROLES)
def test_every_key_of_the_models_is_in_the_sample(role: Role) -> None:
    text = with_all_keys(role)
    for model in MODELS[role]:
        for name, field in model.model_fields.items():
            key = field.alias or name
            if (model, key) == (CorrespondentConfiguration, "security"):
                continue  # it has one value, and need not be written
            assert re.search(rf"^(?:\[+{key}\]+|{key} = .*)$", text, re.MULTILINE), key


@pytest.mark.parametrize("role", ROLES)
def test_what_the_sample_shows_as_default_is_the_default(role: Role) -> None:
    # These have no fixed default, or none that could be written.
    examples = {"name", "mobile_nodes", "mtu", "home_prefix"}
    examples |= {"other_home_agents", "deprecated_prefixes", "correspondent"}
    examples |= {"ipv4_address", "home_agent_ipv4"}
    examples |= {"route_optimization", "no_route_optimization", "rules"}
    default, shown = read(sample(role)), read(with_all_keys(role))
    differing = {
        name
        for before, after in zip(tables(default), tables(shown), strict=True)
        for name, value in before.items()
        if after[name] != value
    }
    assert differing <= examples


def tables(configuration: Configuration) -> list[dict[str, object]]:
    top = configuration.model_dump()
    match configuration:
        case HomeAgentConfiguration():
            return [top.pop("home_agent"), top]
        case MobileNodeConfiguration():
            return [top.pop("mobile_node"), *top.pop("links"), top]
        case CorrespondentConfiguration():
            return [top.pop("correspondent"), top]


@pytest.mark.parametrize("role", ROLES)
def test_every_line_fits_a_terminal(role: Role) -> None:
    assert all(len(line) <= 92 for line in sample(role).splitlines())


def test_the_samples_fit_together() -> None:
    agent, node = read(sample("home-agent")), read(sample("mobile-node"))
    assert isinstance(agent, HomeAgentConfiguration)
    assert isinstance(node, MobileNodeConfiguration)
    assert node.mobile_node.home_agent == agent.home_agent.address
    assert any(
        node.mobile_node.home_address in prefix for prefix in agent.home_agent.home_prefixes
    )
