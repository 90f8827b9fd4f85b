"""The load of one cut, as in `lab.demo_cut`: who runs on which link, and what a cut cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from mcoa.lab.demo_cut import (
    CONVERSATIONS,
    ECHO_INTERVAL_S,
    MESSAGE_OCTETS,
    SETTLE_S,
    TRAINS,
    TRANSFER_MBIT_S,
    TRANSFERS,
    CutMade,
)
from mcoa.lab.demo_result import CutResult
from mcoa.lab.flows import FlowCounts
from mcoa.lab.meters.results import FlowResult
from mcoa.lab.namespaces import LabError
from mcoa.lab.sightings import UDP, Flow
from mcoa.lab.simulated.echo import EchoTrain
from mcoa.lab.simulated.network import PacketNetwork
from mcoa.lab.simulated.stream import SEGMENT_OCTETS, Stream, StreamOrder

MESSAGE_INTERVAL_S = 0.01
TRANSFER_INTERVAL_S = 8e-6 * SEGMENT_OCTETS / TRANSFER_MBIT_S


class Load:
    """Echo trains and connections of both kinds; `number` keeps their ports apart."""

    def __init__(
        self, network: PacketNetwork, rng: Random, *, number: int, duration_s: float
    ) -> None:
        clock, node, peer = network.clock, network.mobile_node, network.correspondent
        first_port = first_port_of(number)
        self._transfer_order = StreamOrder(
            first_port=first_port, flows=TRANSFERS, interval_s=TRANSFER_INTERVAL_S
        )
        self._talk_order = StreamOrder(
            first_port=first_port + 50,
            flows=CONVERSATIONS,
            octets=MESSAGE_OCTETS,
            interval_s=MESSAGE_INTERVAL_S,
            upward=True,
        )
        self._trains = {
            identifier: EchoTrain(
                clock,
                peer,
                node.address,
                identifier=identifier,
                count=round(duration_s / ECHO_INTERVAL_S),
                interval_s=ECHO_INTERVAL_S,
            )
            for identifier in range(1000 + 10 * number, 1000 + 10 * number + TRAINS)
        }
        for train in self._trains.values():
            clock.after(rng.uniform(0.0, ECHO_INTERVAL_S), train.begin)
        self._transfers = Stream(clock, node, peer, self._transfer_order)
        self._conversations = Stream(clock, node, peer, self._talk_order)

    def choose(self, counts: FlowCounts, wanted: Sequence[str]) -> tuple[str, int]:
        """Return the link to cut and the echo train on it.

        The first wanted link that carries both a train and a transfer, else any that carries
        a train. LabError if no train was seen.
        """
        train_on: dict[str, int] = {}
        for identifier in self._trains:
            if (link := counts.carrier_of(Flow.echo(identifier))) is not None:
                train_on.setdefault(link, identifier)
        if not train_on:
            raise LabError("no echo train was seen on any link of the mobile node")
        busy = {counts.carrier_of(flow_on(port)) for port in self._transfer_order.ports}
        both = [link for link in wanted if link in train_on and link in busy]
        link = (both or list(train_on))[0]
        return link, train_on[link]

    def packets(self, counts: FlowCounts, link: str) -> int:
        """Return how many packets of all flows were seen on a link."""
        ports = (*self._transfer_order.ports, *self._talk_order.ports)
        flows = [*map(flow_on, ports), *map(Flow.echo, self._trains)]
        return sum(counts.of(flow, link) for flow in flows)

    def close(self) -> "Outcome":
        """End the connections; the trains have their answers a second later."""
        return Outcome(
            trains=self._trains,
            transfers=self._transfers.close().flows,
            conversations=self._conversations.close().flows,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a load."""

    trains: dict[int, EchoTrain]
    transfers: tuple[FlowResult, ...]
    conversations: tuple[FlowResult, ...]

    def of(self, cut: CutMade) -> CutResult:
        """Draw the figures of one cut."""
        train = self.trains[cut.identifier].result()
        silence_s = train.longest_silence(cut.cut_s)
        rtt_s = train.round_trip(cut.cut_s + SETTLE_S, train.sent_s[-1])
        return CutResult(
            link=cut.link,
            gap_ms=max(0.0, silence_s - ECHO_INTERVAL_S) * 1000,
            lost=train.lost_since(cut.cut_s),
            surviving_rtt_ms=None if rtt_s is None else rtt_s * 1000,
            tcp_gap_ms=_gap_on(cut, self.transfers),
            message_gap_ms=_gap_on(cut, self.conversations),
            tcp_survived=all(
                flow.error is None for flow in (*self.transfers, *self.conversations)
            ),
            moved_to=cut.moved_to,
        )


def first_port_of(number: int) -> int:
    """Return the first of the hundred ports of a load."""
    return 20_000 + 100 * number


def flow_on(port: int) -> Flow:
    """Return the flow of a connection, of which both ends use one port."""
    return Flow(protocol=UDP, ports=(port, port))


def _gap_on(cut: CutMade, flows: Sequence[FlowResult]) -> float | None:
    gaps = [
        flow.longest_gap(cut.cut_s)
        for flow in flows
        if cut.before.carrier_of(flow_on(flow.port)) == cut.link
    ]
    return max(gaps) * 1000 if gaps else None
