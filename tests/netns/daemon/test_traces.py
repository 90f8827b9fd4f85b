"""What a daemon sets it takes back, however it ends; and it starts where it may, or not at all."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcoa.lab.namespaces import Namespace, environment
from mcoa.lab.nodes import AGENT, NODE, agent_configuration, node_configuration
from mcoa.lab.topology import HOME_AGENT, MOBILE_NODE
from mcoa.wire.messages import BindingUpdate
from netns.daemon.laboratory import Laboratory, laboratory, until
from netns.daemon.traces import Traces, differences, traces

pytestmark = pytest.mark.netns

PLACES = {AGENT: HOME_AGENT, NODE: MOBILE_NODE}
BOTH = pytest.mark.parametrize("name", [AGENT, NODE])


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    """Figure 1 without daemons, on machines that are set up otherwise than they need."""
    with laboratory(started=False) as built:
        built.home_agent.sysctl(conf__all__forwarding=0)
        for link in built.topology.links:
            built.mobile_node.sysctl(
                **{
                    f"conf__{link.name}__{key}": 0
                    for key in ("optimistic_dad", "use_optimistic")
                }
            )
        for name, text in (
            (AGENT, agent_configuration(built.topology, built.network.namespaces.directory)),
            (NODE, node_configuration(built.topology, built.network.namespaces.directory)),
        ):
            built.nodes.configuration(name).write_text(text, "utf-8")
        until(
            lambda: "tentative" not in traces(built.mobile_node)["addresses"],
            "an end of duplicate address detection",
        )
        yield built


@pytest.fixture(scope="module")
def before(lab: Laboratory) -> dict[str, Traces]:
    """How both machines were before any daemon started."""
    return {name: traces(lab.network[place]) for name, place in PLACES.items()}


@pytest.fixture
def stopped(lab: Laboratory, before: dict[str, Traces]) -> dict[str, Traces]:
    """No daemon runs, and nothing is set; returns how both machines are."""
    for name in (NODE, AGENT):
        if lab.nodes.is_running(name):
            lab.nodes.stop(name)
        if (lab.network.namespaces.directory / f"{name}.undo").exists():
            mcoa(lab.network[PLACES[name]], "cleanup", lab.nodes.configuration(name))
    return before


def start_both(lab: Laboratory) -> None:
    """Start those of the daemons that do not run."""
    if not lab.nodes.is_running(AGENT):
        lab.nodes.start_agent()
    if not lab.nodes.is_running(NODE):
        lab.nodes.start_node()
    lab.until_registered()


def mcoa(place: Namespace, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a namespace to its end."""
    return subprocess.run(
        place.command(sys.executable, "-m", "mcoa", *map(str, words)),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        env=environment(),
    )


@BOTH
@pytest.mark.parametrize("security", ["", 'security = "ipsec"'])
def test_without_a_word_about_protection_nothing_starts(
    lab: Laboratory, stopped: dict[str, Traces], tmp_path: Path, name: str, security: str
) -> None:
    text = lab.nodes.configuration(name).read_text("utf-8")
    other = tmp_path / "other.toml"
    other.write_text(text.replace('security = "none"', security), "utf-8")
    place = lab.network[PLACES[name]]
    done = mcoa(place, "run", other)
    assert done.returncode == 2
    assert "security" in done.stderr
    assert differences(stopped[name], traces(place)) == {}


@BOTH
def test_a_dry_run_sets_nothing(lab: Laboratory, stopped: dict[str, Traces], name: str) -> None:
    place = lab.network[PLACES[name]]
    done = mcoa(place, "run", "--dry-run", lab.nodes.configuration(name))
    assert done.returncode == 0, done.stderr
    assert "mip0" in done.stdout
    assert differences(stopped[name], traces(place)) == {}


def test_every_view_says_that_nothing_is_protected(lab: Laboratory) -> None:
    start_both(lab)
    for name, place in PLACES.items():
        assert lab.status(name)["security"] == "none"
        socket = lab.network.namespaces.directory / f"{name}.sock"
        done = mcoa(lab.network[place], "show", "--socket", socket)
        assert done.returncode == 0, done.stderr
        assert "SECURITY: NONE" in done.stdout


def test_while_a_daemon_lives_nothing_is_cleaned_up_and_no_second_one_starts(
    lab: Laboratory,
) -> None:
    start_both(lab)
    for name, place in PLACES.items():
        living = traces(lab.network[place])
        pid = lab.status(name)["pid"]
        for command in ("cleanup", "run"):
            done = mcoa(lab.network[place], command, lab.nodes.configuration(name))
            assert done.returncode == 1
            assert f"running (process {pid})" in done.stderr
            assert "Traceback" not in done.stderr
        assert differences(living, traces(lab.network[place])) == {}
        assert lab.status(name)["pid"] == pid
    lab.until_registered()


@BOTH
def test_another_configuration_with_the_same_device_is_refused(
    lab: Laboratory, tmp_path: Path, name: str
) -> None:
    start_both(lab)
    place = lab.network[PLACES[name]]
    living = traces(place)
    text = lab.nodes.configuration(name).read_text("utf-8")
    other = tmp_path / "other.toml"
    other.write_text(
        text.replace(str(lab.network.namespaces.directory), str(tmp_path)), "utf-8"
    )
    done = mcoa(place, "run", other)
    assert done.returncode == 1
    assert "mip0" in done.stderr
    assert "unforeseen" not in done.stderr
    assert differences(living, traces(place)) == {}
    lab.until_registered()


def test_a_second_agent_on_the_same_bindings_is_refused(
    lab: Laboratory, tmp_path: Path
) -> None:
    start_both(lab)
    living = traces(lab.home_agent)
    text = lab.nodes.configuration(AGENT).read_text("utf-8")
    line = f'runtime_directory = "{lab.network.namespaces.directory}"'
    other = tmp_path / "other.toml"
    other.write_text(
        text.replace(line, f'runtime_directory = "{tmp_path}"\ndevice = "mip1"'), "utf-8"
    )
    done = mcoa(lab.home_agent, "run", other)
    assert done.returncode == 1
    assert "unforeseen" not in done.stderr
    assert differences(living, traces(lab.home_agent)) == {}
    lab.until_registered()


@pytest.mark.requirement("S5.4-01")
def test_an_end_in_order_takes_everything_back(
    lab: Laboratory, stopped: dict[str, Traces]
) -> None:
    start_both(lab)
    for name, place in PLACES.items():
        assert differences(stopped[name], traces(lab.network[place]))
    assert lab.nodes.stop(NODE) == 0
    assert "not-deregistered" not in lab.nodes.log(NODE).read_text("utf-8")
    assert differences(stopped[NODE], traces(lab.mobile_node)) == {}
    until(lambda: lab.cache() == {}, lambda: f"no binding; the agent has {lab.cache()}")
    last = [each for _, each in lab.wire.messages() if isinstance(each, BindingUpdate)][-1]
    assert last.lifetime_s == 0
    home_address = str(lab.topology.home_address)
    until(lambda: home_address not in traces(lab.home_agent)["proxies"], "no proxy entry", 3.0)
    assert home_address not in traces(lab.home_agent)["routes"]
    assert lab.nodes.stop(AGENT) == 0
    assert differences(stopped[AGENT], traces(lab.home_agent)) == {}


def test_the_end_of_a_node_whose_agent_is_silent_is_bounded(
    lab: Laboratory, stopped: dict[str, Traces]
) -> None:
    start_both(lab)
    lab.nodes.kill(AGENT)
    assert lab.nodes.stop(NODE) == 0
    assert differences(stopped[NODE], traces(lab.mobile_node)) == {}


def test_cleanup_takes_back_what_killed_daemons_left(
    lab: Laboratory, stopped: dict[str, Traces]
) -> None:
    start_both(lab)
    for name, place in PLACES.items():
        lab.nodes.kill(name)
        assert differences(stopped[name], traces(lab.network[place]))
        done = mcoa(lab.network[place], "cleanup", lab.nodes.configuration(name))
        assert (done.returncode, done.stdout, done.stderr) == (0, "cleaned up\n", "")
        assert differences(stopped[name], traces(lab.network[place])) == {}
        done = mcoa(lab.network[place], "cleanup", lab.nodes.configuration(name))
        assert (done.returncode, done.stdout) == (0, "nothing to clean up\n")


def test_a_daemon_that_follows_a_killed_one_still_takes_everything_back(
    lab: Laboratory, stopped: dict[str, Traces]
) -> None:
    start_both(lab)
    lab.nodes.kill(NODE)
    lab.nodes.kill(AGENT)
    start_both(lab)
    assert lab.nodes.stop(NODE, signal.SIGINT) == 0
    assert lab.nodes.stop(AGENT, signal.SIGINT) == 0
    for name, place in PLACES.items():
        assert differences(stopped[name], traces(lab.network[place])) == {}


def test_every_message_was_well_formed(lab: Laboratory, tmp_path: Path) -> None:
    names = lab.wire.judge(tmp_path)
    assert names["Binding Update"] > 10
    assert names["Binding Acknowledgement"] > 10
