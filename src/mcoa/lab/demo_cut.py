"""One cut: load all links, find out who runs where, cut a link, and see what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from mcoa.lab.demo_result import CutResult
from mcoa.lab.flows import FlowCounts, observe
from mcoa.lab.meters.launch import Meter, start_echo, start_stream
from mcoa.lab.meters.results import EchoResult, FlowResult, StreamResult
from mcoa.lab.meters.stream import Order
from mcoa.lab.namespaces import LabError
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORRESPONDENT, MOBILE_NODE, Network

STREAM_PORT = 5201
ECHO_INTERVAL_S = 0.01
TRAINS = 3  # so that every link is likely to carry one
TRANSFERS = 6
CONVERSATIONS = 3
TRANSFER_MBIT_S = 2.5  # even one link has room for all: the cut is measured, not congestion
MESSAGE_OCTETS = 100
START_S = 0.8  # connections are made, and find their links
LOOK_S = 0.4
LONGEST_LOAD_S = 120.0  # it is ended before
SETTLE_S = 0.3  # after a cut, before the surviving path's round trip is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Everything that runs during one cut."""

    trains: dict[int, Meter[EchoResult]]
    transfers: Meter[StreamResult]
    conversations: Meter[StreamResult]
    transfer_order: Order
    conversation_order: Order

    @property
    def meters(self) -> tuple[Meter[EchoResult] | Meter[StreamResult], ...]:
        """All that run."""
        return (*self.trains.values(), self.transfers, self.conversations)

    def finish(self) -> None:
        """End all meters."""
        for meter in self.meters:
            meter.finish()

    def collect(self) -> tuple[dict[int, EchoResult], StreamResult, StreamResult]:
        """Return the results of all meters, after finish()."""
        trains = {identifier: meter.result() for identifier, meter in self.trains.items()}
        return trains, self.transfers.result(), self.conversations.result()


@dataclass(frozen=True, slots=True, kw_only=True)
class CutMade:
    """What is known when the load still runs: the cut link, its train, and when it was cut."""

    link: str
    identifier: int
    before: FlowCounts
    cut_s: float
    moved_to: str | None


def start_load(network: Network, number: int) -> Load:
    """Begin echo trains and TCP connections of both kinds; `number` keeps their ports apart."""
    namespaces, mobile_node = network.namespaces, network[MOBILE_NODE]
    identifiers = range(1000 + 10 * number, 1000 + 10 * number + TRAINS)
    order = Order(
        host=str(network.topology.correspondent),
        port=STREAM_PORT,
        first_port=20_000 + 100 * number,
        flows=TRANSFERS,
        duration_s=LONGEST_LOAD_S,
        pacing_mbit_s=TRANSFER_MBIT_S,
    )
    talk = Order(
        host=order.host,
        port=STREAM_PORT,
        first_port=order.first_port + 50,
        flows=CONVERSATIONS,
        duration_s=LONGEST_LOAD_S,
        upward=True,
        message_octets=MESSAGE_OCTETS,
    )
    load = Load(
        trains={
            identifier: start_echo(
                namespaces,
                network[CORRESPONDENT],
                str(network.topology.home_address),
                identifier=identifier,
                duration_s=LONGEST_LOAD_S,
                interval_s=ECHO_INTERVAL_S,
            )
            for identifier in identifiers
        },
        transfers=start_stream(namespaces, mobile_node, order),
        conversations=start_stream(namespaces, mobile_node, talk),
        transfer_order=order,
        conversation_order=talk,
    )
    for meter in load.meters:
        meter.wait_for_begin()
    return load


def look(network: Network) -> FlowCounts:
    """Count for a moment which uplink of the mobile node carries which flow."""
    names = [link.name for link in network.topology.links]
    return observe(network[MOBILE_NODE], names, LOOK_S)


def choose(load: Load, counts: FlowCounts, wanted: Sequence[str]) -> tuple[str, int]:
    """Return the link to cut and the echo train on it.

    The first wanted link that carries both a train and a transfer, else any that carries
    a train. LabError if no train was seen.
    """
    train_on: dict[str, int] = {}
    for identifier in load.trains:
        if (link := counts.carrier_of(Flow.echo(identifier))) is not None:
            train_on.setdefault(link, identifier)
    if not train_on:
        raise LabError("no echo train was seen on any link of the mobile node")
    busy = {counts.carrier_of(flow) for flow in flows_of(load.transfer_order)}
    both = [link for link in wanted if link in train_on and link in busy]
    link = (both or list(train_on))[0]
    return link, train_on[link]


def flows_of(order: Order) -> list[Flow]:
    """Return the flows of an order's connections."""
    ports = range(order.first_port, order.first_port + order.flows)
    return [Flow.tcp(order.port, port) for port in ports]


def judge(load: Load, cut: CutMade) -> CutResult:
    """Draw the figures of one cut from the meters, which have been told to finish."""
    trains, transfers, conversations = load.collect()
    train = trains[cut.identifier]
    end_s = train.sent_s[-1]
    silence_s = train.longest_silence(cut.cut_s)
    rtt_s = train.round_trip(cut.cut_s + SETTLE_S, end_s)
    return CutResult(
        link=cut.link,
        gap_ms=max(0.0, silence_s - ECHO_INTERVAL_S) * 1000,
        lost=train.lost_since(cut.cut_s),
        surviving_rtt_ms=None if rtt_s is None else rtt_s * 1000,
        tcp_gap_ms=_gap_on(cut, transfers.flows),
        message_gap_ms=_gap_on(cut, conversations.flows),
        tcp_survived=transfers.survived and conversations.survived,
        moved_to=cut.moved_to,
    )


def packets_of(load: Load, counts: FlowCounts, link: str) -> int:
    """Return how many packets of a load's flows were seen on a link."""
    flows = [*flows_of(load.transfer_order), *flows_of(load.conversation_order)]
    flows += [Flow.echo(identifier) for identifier in load.trains]
    return sum(counts.of(flow, link) for flow in flows)


def _gap_on(cut: CutMade, flows: Sequence[FlowResult]) -> float | None:
    gaps = [
        flow.longest_gap(cut.cut_s)
        for flow in flows
        if cut.before.carrier_of(Flow.tcp(STREAM_PORT, flow.port)) == cut.link
    ]
    return max(gaps) * 1000 if gaps else None
