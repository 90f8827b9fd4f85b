"""Two hosts with one address: who comes second is told (RFC 6275 §10.3.1, RFC 4862 §5.4)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import pytest

from mcoa.lab.mishaps import renumber
from mcoa.lab.namespaces import environment, run
from mcoa.lab.nodes import AGENT, NODE
from mcoa.lab.topology import CORE, CORRESPONDENT
from mcoa.wire.registry import BindingStatus
from netns.daemon.laboratory import Laboratory, answers, laboratory, until
from netns.daemon.packets import STRANGER

OTHER = IPv6Network("2001:db8:b2::/64")

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    """Figure 1, where the core's interface on the home link stands for any host there."""
    with laboratory(started=False) as built:
        yield built


def shown(lab: Laboratory, name: str) -> str:
    """Return what `mcoa show` says of a daemon."""
    socket = lab.network.namespaces.directory / f"{name}.sock"
    done = subprocess.run(
        [sys.executable, "-m", "mcoa", "show", "--socket", str(socket)],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    return done.stdout


def test_an_address_that_a_neighbour_has_is_refused_until_it_is_free(lab: Laboratory) -> None:
    home_address, neighbour = lab.topology.home_address, lab.network[CORE]
    neighbour.ip(f"address add {home_address}/128 dev home nodad")
    lab.nodes.start_agent()
    lab.nodes.start_node()
    until(
        lambda: any(
            line["last_status"] == 134 for line in lab.status(NODE).get("bindings", ())
        ),
        lambda: f"status 134; {lab.status(NODE).get('bindings')}",
    )
    phrase = BindingStatus.DUPLICATE_ADDRESS_DETECTION_FAILED.phrase
    assert "(134)" in phrase
    assert phrase in shown(lab, NODE)
    assert lab.cache() == {}
    assert lab.counter(AGENT, "duplicate-address") == 1
    neighbour.ip(f"address del {home_address}/128 dev home")
    lab.until_registered(within_s=25.0)
    assert answers(lab.network[CORRESPONDENT], home_address, identifier=1)


def test_a_host_that_wants_a_registered_address_learns_that_it_is_taken(
    lab: Laboratory,
) -> None:
    home_address, neighbour = lab.topology.home_address, lab.network[CORE]
    neighbour.sysctl(conf__all__accept_dad=1, conf__home__accept_dad=1)
    neighbour.ip(f"address add {home_address}/128 dev home")

    def flags() -> str:
        return run("ip", "-n", neighbour.full_name, "-6", "address", "show", "dev", "home")

    until(lambda: "dadfailed" in flags(), flags)
    neighbour.ip(f"address del {home_address}/128 dev home")
    lab.until_registered()
    assert answers(lab.network[CORRESPONDENT], home_address, identifier=2)


def test_a_care_of_address_that_another_host_has_is_given_up(lab: Laboratory) -> None:
    """It may be used until its duplicate address detection ends (RFC 4429)."""
    link = lab.topology.link("wifi")
    own = lab.network.care_of_addresses()["wifi"]
    taken = IPv6Address(int(OTHER.network_address) | int(own) & (1 << 64) - 1)
    router = lab.network[link.router]
    router.ip(f"address add {taken}/128 dev radio nodad")
    renumber(lab.network, "wifi", link.prefix, OTHER)
    until(lambda: str(taken) in lab.nodes.log(NODE).read_text("utf-8"), "its use")
    renumber(lab.network, "wifi", link.prefix)  # else the kernel tries it again and again
    until(lambda: str(taken) not in json.dumps(lab.status(NODE)["links"]), "an end of its use")
    lab.until_registered()
    router.ip(f"address del {taken}/128 dev radio")
    # That other host answers what is not for it; the core, what has no route any more.
    assert {each.source for each in lab.wire.errors()} <= {taken, STRANGER}


def test_every_message_was_well_formed(lab: Laboratory, tmp_path: Path) -> None:
    assert lab.wire.judge(tmp_path)["Binding Acknowledgement"] > 1
