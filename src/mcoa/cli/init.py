"""`mcoa init`: a commented configuration to begin with."""

import click

from mcoa.runtime.samples import Role, sample


@click.command
@click.argument("role", type=click.Choice(["home-agent", "mobile-node", "correspondent"]))
def init(role: Role) -> None:
    """Print a commented configuration of a role, which explains every key.

    For example: mcoa init mobile-node > /etc/mcoa/van.toml
    """
    click.echo(sample(role), nl=False)
