"""Flows stay on their path while it lives, and leave it at once when it dies."""

import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from mcoa.lab.flows import FlowCounts, FlowTally
from mcoa.lab.namespaces import run
from mcoa.lab.nodes import AGENT
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORRESPONDENT
from mcoa.wire.messages import BindingUpdate
from netns.daemon.laboratory import Laboratory, Udp, answers, frozen, until
from netns.daemon.wire import HOME_LINK

pytestmark = pytest.mark.netns

LINKS = ("lte", "wifi", "sat")
FLOWS = 12
ROUNDS = 40
ROUND_S = 0.005
LONGEST_SILENCE_S = 0.5  # of packets, on a busy machine; some 0.06 s where there is time
SETTLE_S = 0.3  # for what is still on its way


class Conversations:
    """UDP flows between the mobile node and one port of the correspondent."""

    def __init__(self, lab: Laboratory, stack: ExitStack, flows: int = FLOWS) -> None:
        self._topology = lab.topology
        self.here = [stack.enter_context(Udp(lab.mobile_node)) for _ in range(flows)]
        self.there = stack.enter_context(Udp(lab.network[CORRESPONDENT]))
        self.answered_s = [time.monotonic()] * flows
        self.silence_s = [0.0] * flows

    @property
    def flows(self) -> list[Flow]:
        return [Flow.udp(each.port, self.there.port) for each in self.here]

    def speak(self, rounds: int = ROUNDS) -> None:
        """Send on every flow and have everything answered, some rounds long."""
        for _ in range(rounds):
            self.ask()
            self._turn()
            time.sleep(ROUND_S)
        end = time.monotonic() + SETTLE_S
        while time.monotonic() < end:
            self._turn()
            time.sleep(ROUND_S)

    def ask(self) -> None:
        """Have the mobile node speak, once on every flow."""
        for each in self.here:
            each.send(b"question", self._topology.correspondent, self.there.port)

    def call(self) -> None:
        """Have the correspondent speak first, once on every flow."""
        for each in self.here:
            self.there.send(b"call", self._topology.home_address, each.port)

    def await_questions(self) -> None:
        """Wait until as many datagrams as there are flows came to the correspondent."""
        self._await(lambda: len(self.there.received()))

    def await_calls(self) -> None:
        """Wait until as many datagrams as there are flows came to the mobile node."""
        self._await(lambda: sum(map(len, self.heard())))

    def heard(self) -> list[list[bytes]]:
        """Return what came to the mobile node, by flow."""
        return [[payload for payload, _, _ in each.received()] for each in self.here]

    def restart_clocks(self) -> None:
        self.answered_s = [time.monotonic()] * len(self.here)
        self.silence_s = [0.0] * len(self.here)

    def _await(self, more: Callable[[], int]) -> None:
        came = 0

        def is_complete() -> bool:
            nonlocal came
            came += more()
            return came >= len(self.here)

        until(is_complete, lambda: f"{len(self.here)} datagrams; {came} came")

    def _turn(self) -> None:
        for _, address, port in self.there.received():
            self.there.send(b"answer", address, port)
        now = time.monotonic()
        for number, heard in enumerate(self.heard()):
            if heard:
                silence_s = now - self.answered_s[number]
                self.silence_s[number] = max(self.silence_s[number], silence_s)
                self.answered_s[number] = now


def carriers(counts: FlowCounts, flows: Sequence[Flow]) -> list[str]:
    """Return the link of each flow; every one has to be on one alone, both ways."""
    for flow in flows:
        assert counts.carriers_of(flow, "up") == counts.carriers_of(flow, "down")
        assert len(counts.carriers_of(flow)) == 1
    return [counts.carriers_of(flow).pop() for flow in flows]


@pytest.mark.requirement("S3-19")
def test_each_flow_sticks_to_one_path_and_flows_spread(lab: Laboratory) -> None:
    with ExitStack() as stack, FlowTally(lab.mobile_node, LINKS) as tally:
        conversations = Conversations(lab, stack)
        conversations.speak()
        counts = tally.counts()
        used = carriers(counts, conversations.flows)
        for flow in conversations.flows:
            assert counts.of(flow, used[conversations.flows.index(flow)]) == 2 * ROUNDS
    # Their weights are 40, 20 and 30.
    assert used.count("lte") in {5, 6}
    assert used.count("wifi") in {2, 3}
    assert used.count("sat") == 4


def test_flows_that_the_correspondent_begins_spread_and_stick_too(lab: Laboratory) -> None:
    with ExitStack() as stack, FlowTally(lab.mobile_node, LINKS) as tally:
        conversations = Conversations(lab, stack)
        conversations.call()
        conversations.await_calls()
        conversations.speak()
        used = carriers(tally.counts(), conversations.flows)
    assert set(used) == set(LINKS)


def test_flows_leave_a_cut_link_though_the_agent_knows_nothing(lab: Laboratory) -> None:
    with ExitStack() as stack:
        conversations = Conversations(lab, stack)
        conversations.speak()
        with FlowTally(lab.mobile_node, LINKS) as tally:
            conversations.speak(5)
            before = carriers(tally.counts(), conversations.flows)
        with frozen(lab, AGENT):
            lab.network.cut("lte")
            time.sleep(0.1)  # for the news of the carrier
            with FlowTally(lab.mobile_node, LINKS) as tally:
                conversations.speak(20)
                counts = tally.counts()
        for flow, link in zip(conversations.flows, before, strict=True):
            moved = counts.carriers_of(flow, "up")
            assert moved == {link} if link != "lte" else len(moved - {"lte"}) == 1
        lab.until_registered("wifi", "sat")
        lab.network.restore("lte")
        lab.until_registered()


def test_the_downlink_leaves_a_dead_path_by_an_update_over_another(lab: Laboratory) -> None:
    with ExitStack() as stack:
        conversations = Conversations(lab, stack)
        conversations.speak()
        with FlowTally(lab.mobile_node, LINKS) as tally:
            conversations.speak(5)
            before = carriers(tally.counts(), conversations.flows)
        begun_s = time.time()
        conversations.restart_clocks()
        lab.network.cut("sat")
        conversations.speak(100)
        with FlowTally(lab.mobile_node, LINKS) as tally:
            conversations.speak(5)
            after = carriers(tally.counts(), conversations.flows)
        assert max(conversations.silence_s) < LONGEST_SILENCE_S
        lab.until_registered("lte", "wifi")
    for old, new in zip(before, after, strict=True):
        assert new == old if old != "sat" else new != old
    updates = [
        sighting.place
        for sighting, message in lab.wire.messages(begun_s)
        if isinstance(message, BindingUpdate)
    ]
    assert updates
    assert set(updates) <= {"lte", "wifi", HOME_LINK}
    lab.network.restore("sat")
    lab.until_registered()


@pytest.mark.parametrize("first", ["the node", "the correspondent"])
def test_flows_that_were_silent_when_their_link_died_go_on(lab: Laboratory, first: str) -> None:
    with ExitStack() as stack:
        conversations = Conversations(lab, stack)
        with FlowTally(lab.mobile_node, LINKS) as tally:
            conversations.speak(5)
            used = carriers(tally.counts(), conversations.flows)
        dead = max(LINKS, key=used.count)
        lab.network.cut(dead)
        lab.until_registered(*(link for link in LINKS if link != dead))
        if first == "the node":
            conversations.ask()
            conversations.await_questions()
        else:
            conversations.call()
            conversations.await_calls()
    lab.network.restore(dead)
    lab.until_registered()


def test_new_flows_use_a_link_that_came_back(lab: Laboratory) -> None:
    lab.network.cut("wifi")
    lab.until_registered("lte", "sat")
    lab.network.restore("wifi")
    lab.until_registered()
    with ExitStack() as stack, FlowTally(lab.mobile_node, LINKS) as tally:
        conversations = Conversations(lab, stack)
        conversations.speak(10)
        used = carriers(tally.counts(), conversations.flows)
    assert "wifi" in used


def test_connections_outlive_a_time_without_any_link(lab: Laboratory) -> None:
    correspondent = lab.network[CORRESPONDENT]
    with ExitStack() as stack:
        listener = correspondent.call(
            lambda: socket.create_server(("::", 0), family=socket.AF_INET6)
        )
        stack.enter_context(listener)
        port = listener.getsockname()[1]
        here = stack.enter_context(
            lab.mobile_node.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
        )
        here.settimeout(15)
        here.connect((str(lab.topology.correspondent), port))
        there = stack.enter_context(listener.accept()[0])
        there.settimeout(15)
        lab.network.cut(*LINKS)
        until(lambda: not lab.registered(), "nothing registered")
        here.sendall(b"up")
        there.sendall(b"down")
        lab.network.restore("sat")
        assert there.recv(16) == b"up"
        assert here.recv(16) == b"down"
        lab.network.restore("lte", "wifi")
        lab.until_registered()


@pytest.mark.parametrize(
    "removal",
    [
        ("route", "flush", "proto", "135", "table", "all"),
        ("rule", "del", "priority", "5100"),
        ("address", "flush", "dev", "mip0"),
        ("link", "set", "mip0", "down"),
    ],
    ids=" ".join,
)
def test_what_other_programs_take_away_is_set_again(
    lab: Laboratory, removal: tuple[str, ...]
) -> None:
    ip = ("ip", "-n", lab.mobile_node.full_name, "-6")
    run(*ip, *removal)
    run(*ip, "link", "set", "mip0", "up")
    correspondent = lab.network[CORRESPONDENT]
    assert answers(correspondent, lab.topology.home_address, identifier=1)
    assert answers(lab.mobile_node, lab.topology.correspondent, identifier=2)
    lab.until_registered()


def test_every_message_was_well_formed(lab: Laboratory, tmp_path: Path) -> None:
    names = lab.wire.judge(tmp_path)
    assert names["Binding Update"] > 10


def test_no_kernel_answered_anything(lab: Laboratory) -> None:
    assert lab.wire.errors() == []
