"""What a node has set is taken back: when it stops, and after it was killed."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from mcoa.lab.namespaces import environment, run
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.undo import ForeignJournalError, Journal, JournalHeldError, cleanup
from mcoa.runtime.undo_entries import Setting
from netns.runtime import everything
from netns.runtime.everything import has_nftables
from netns.runtime.pair import Pair

pytestmark = pytest.mark.netns

ROLES = pytest.mark.parametrize("role", ["mobile-node", "home-agent"])
LISTINGS = (
    "ip -6 address",
    "ip -6 route show table all",
    "ip -6 rule",
    "ip -6 neighbour show proxy",
    "ip -o link show up",
    "tc qdisc",
    "tc filter show dev wwan0 ingress",
    *(["nft list ruleset"] if has_nftables() else []),
)


def settle(pair: Pair) -> None:
    """Give the node all that comes by itself beforehand, so that only ours differs."""
    pair.node.sysctl(conf__wwan0__accept_dad=0, conf__wwan0__router_solicitations=0)
    pair.node.ip("link set wwan0 down", "link set wwan0 up")
    pair.wait_for_carrier()
    pair.address()


def everything_in(pair: Pair) -> dict[str, str]:
    """Return what there is in the node's kernel, settings and all."""
    enter = ["nsenter", f"--net={pair.node.path}"]
    found = {words: run(*enter, *words.split()) for words in LISTINGS}

    def settings() -> str:
        root = Path("/proc/sys/net/ipv6")
        files = sorted((*root.glob("conf/*/*"), *root.glob("neigh/*/*")))
        # Drawn anew by the kernel whenever it is read for the first time.
        return "\n".join(
            f"{each}={each.read_text()}" for each in files if each.name != "stable_secret"
        )

    return found | {"settings": pair.node.call(settings)}


def launch(pair: Pair, role: str) -> subprocess.Popen[str]:
    """Start a node."""
    program = [sys.executable, everything.__file__, str(pair.journal), role]
    return subprocess.Popen(
        ["nsenter", f"--net={pair.node.path}", *program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def start(pair: Pair, role: str) -> subprocess.Popen[str]:
    """Start a node, and return when it has set everything."""
    process = launch(pair, role)
    assert process.stdout is not None
    line = process.stdout.readline()
    if line != "set\n":
        process.kill()
    assert line == "set\n"
    return process


def end(process: subprocess.Popen[str], act: Callable[[], None]) -> int:
    """Have the process end by `act`, and return how it did."""
    try:
        act()
        return process.wait(5)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def cleaned_up(pair: Pair) -> tuple[str, ...]:
    def clean() -> tuple[str, ...]:
        with Netlink() as netlink:
            return cleanup(pair.journal, netlink)

    return pair.node.call(clean)


@ROLES
def test_a_clean_stop_leaves_everything_as_it_was(pair: Pair, role: str) -> None:
    settle(pair)
    before = everything_in(pair)
    process = start(pair, role)
    assert everything_in(pair) != before

    def say_stop() -> None:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()

    assert end(process, say_stop) == 0
    assert everything_in(pair) == before
    assert not pair.journal.exists()


@ROLES
def test_cleanup_after_a_kill_leaves_everything_as_it_was(pair: Pair, role: str) -> None:
    settle(pair)
    before = everything_in(pair)
    for _ in range(2):
        # The second starts on what the first left, and must not take that for the original.
        process = start(pair, role)
        with pytest.raises(JournalHeldError):
            cleaned_up(pair)
        assert end(process, process.kill) == -signal.SIGKILL
        assert everything_in(pair) != before
    assert cleaned_up(pair) == ()
    assert everything_in(pair) == before
    assert cleaned_up(pair) == ()


@ROLES
def test_a_kill_at_any_instant_leaves_nothing_unnamed(pair: Pair, role: str) -> None:
    settle(pair)
    before = everything_in(pair)
    began = time.monotonic()
    end(process := start(pair, role), process.kill)
    usual_s = time.monotonic() - began
    assert cleaned_up(pair) == ()
    rng = Random(role)
    for _ in range(6):
        process = launch(pair, role)
        time.sleep(rng.uniform(0.2, 1) * usual_s)
        end(process, process.kill)
        assert cleaned_up(pair) == ()
        assert everything_in(pair) == before


def test_a_setting_that_another_changed_since_is_left_alone(pair: Pair) -> None:
    setting = "conf/wwan0/accept_ra"

    def scenario() -> tuple[str, tuple[str, ...]]:
        path = Path("/proc/sys/net/ipv6", setting)
        journal = Journal.open(pair.journal)
        assert journal.change_setting(setting, "2")
        assert journal.entries == (Setting(path=setting, before="1", after="2"),)
        path.write_text("0", "ascii")
        with Netlink() as netlink:
            troubles = journal.undo(netlink)
        return path.read_text("ascii").strip(), troubles

    assert pair.node.call(scenario) == ("0", ())


def test_a_setting_changed_twice_returns_to_what_it_was_first(pair: Pair) -> None:
    setting = "conf/wwan0/accept_ra"

    def scenario() -> str:
        path = Path("/proc/sys/net/ipv6", setting)
        for value in ("2", "0", "2"):
            # A journal each, as if the process had died in between.
            journal = Journal.open(pair.journal)
            assert journal.change_setting(setting, value)
            journal.close()
        with Netlink() as netlink:
            assert Journal.open(pair.journal).undo(netlink) == ()
        return path.read_text("ascii").strip()

    assert pair.node.call(scenario) == "1"


def test_a_setting_that_is_missing_is_told(pair: Pair) -> None:
    def scenario() -> bool:
        journal = Journal.open(pair.journal)
        try:
            return journal.change_setting("conf/nowhere0/accept_ra", "2")
        finally:
            journal.close()

    assert not pair.node.call(scenario)


def test_cleanup_in_another_namespace_is_refused(pair: Pair) -> None:
    process = start(pair, "home-agent")
    assert end(process, process.kill) == -signal.SIGKILL
    with Netlink() as netlink, pytest.raises(ForeignJournalError):
        cleanup(pair.journal, netlink)
    assert cleaned_up(pair) == ()
    assert not pair.journal.exists()
