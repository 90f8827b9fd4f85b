"""`mcoa check`: is a configuration file right?"""

from pathlib import Path

import click

from mcoa.runtime.config import (
    Configuration,
    CorrespondentConfiguration,
    HomeAgentConfiguration,
    MobileNodeConfiguration,
    load,
)
from mcoa.runtime.units import human_duration


@click.command
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check a configuration file, and change nothing.

    All that is wrong is told at once; the exit code is then 2.
    """
    configuration = load(file)
    click.echo(f"{file}: valid; {_summary(configuration)}")
    if configuration.security == "none":
        click.echo("warning: security is none: signalling will not be protected", err=True)


def _summary(configuration: Configuration) -> str:
    match configuration:
        case HomeAgentConfiguration(home_agent=agent):
            prefixes = ", ".join(str(prefix) for prefix in agent.home_prefixes)
            return f"home agent {configuration.name} at {agent.address} for {prefixes}"
        case MobileNodeConfiguration(mobile_node=node, links=links):
            names = ", ".join(link.name for link in links)
            return (
                f"mobile node {configuration.name}, {node.home_address} over {names}, "
                f"lifetime {human_duration(node.lifetime_s)}"
            )
        case CorrespondentConfiguration(correspondent=settings):
            return (
                f"correspondent {configuration.name} on {', '.join(settings.interfaces or ())}"
            )
