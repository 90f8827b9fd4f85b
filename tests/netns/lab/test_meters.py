"""The meters see what is done to the traffic that they make."""

import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from mcoa.lab.capture import Tap
from mcoa.lab.flows import observe
from mcoa.lab.meters.launch import Meter, start_echo, start_stream
from mcoa.lab.meters.results import StreamResult
from mcoa.lab.meters.stream import Order
from mcoa.lab.namespaces import LabError
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORRESPONDENT, MOBILE_NODE, Network

pytestmark = pytest.mark.netns

LINKS = ["lte", "wifi", "sat"]


def stream(
    network: Network, first_port: int, *, upward: bool = False, message_octets: int = 0
) -> Meter[StreamResult]:
    order = Order(
        host=str(network.topology.correspondent),
        port=5201,
        first_port=first_port,
        flows=2,
        duration_s=1.6,
        upward=upward,
        message_octets=message_octets,
        pacing_mbit_s=0.0 if message_octets else 2.0,
    )
    return start_stream(network.namespaces, network[MOBILE_NODE], order)


@pytest.mark.parametrize("upward", [False, True])
def test_messages_are_a_hundred_a_second(network: Network, *, upward: bool) -> None:
    result = stream(network, 22000 + 10 * upward, upward=upward, message_octets=100).result()
    for flow in result.flows:
        begun_s = flow.marks[0][0]
        assert flow.octets_between(begun_s + 0.5, begun_s + 1.5) == pytest.approx(
            10_000, rel=0.1
        )
        assert flow.error is None


@pytest.mark.parametrize("upward", [False, True])
def test_pacing_holds(network: Network, *, upward: bool) -> None:
    result = stream(network, 22100 + 10 * upward, upward=upward).result()
    begun_s = result.flows[0].marks[0][0]
    assert result.goodput(begun_s + 0.5, begun_s + 1.5) == pytest.approx(4.0, rel=0.15)


@pytest.mark.parametrize("upward", [False, True])
def test_a_blackhole_of_half_a_second_is_a_gap_and_not_the_end(
    network: Network, *, upward: bool
) -> None:
    destination = str(network.care_of_addresses()["lte"])
    train = start_echo(
        network.namespaces, network[CORRESPONDENT], destination, identifier=3, duration_s=1.6
    )
    meter = stream(network, 22200 + 10 * upward, upward=upward)
    time.sleep(0.6)
    for link in LINKS:
        network.blackhole(link)
    cut_s = time.monotonic()
    time.sleep(0.3)
    for link in LINKS:
        network.set_loss(link, 0.0)
    transfers, echoes = meter.result(), train.result()
    assert transfers.survived
    assert all(0.28 < flow.longest_gap(cut_s) < 1.0 for flow in transfers.flows)
    assert 0.29 < echoes.longest_silence(cut_s) < 0.4
    assert 28 <= echoes.lost_since(cut_s) <= 36


def test_a_connection_that_cannot_be_made_is_an_error_in_words(network: Network) -> None:
    order = Order(
        host=str(network.topology.correspondent),
        port=1,
        first_port=22300,
        flows=1,
        duration_s=0.1,
    )
    with pytest.raises(LabError, match="no connection to"):
        start_stream(network.namespaces, network[MOBILE_NODE], order).result()


def test_each_flow_is_found_on_the_link_that_carries_it(network: Network) -> None:
    addresses = network.care_of_addresses()
    trains = [
        start_echo(
            network.namespaces,
            network[CORRESPONDENT],
            str(addresses[link]),
            identifier=100 + number,
            duration_s=1.0,
        )
        for number, link in enumerate(LINKS)
    ]
    time.sleep(0.4)
    counts = observe(network[MOBILE_NODE], LINKS, 0.3)
    for number, link in enumerate(LINKS):
        flow = Flow.echo(100 + number)
        assert counts.carrier_of(flow) == counts.carrier_of(flow, "up") == link
        assert 40 < counts.of(flow, link) < 80
    assert counts.carrier_of(Flow.tcp(1, 2)) is None
    for train in trains:
        train.result()


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark judges")
def test_a_capture_has_signalling_whole_and_data_as_headers(
    network: Network, tmp_path: Path
) -> None:
    file = tmp_path / "lab.pcapng"
    taps = [
        Tap(namespace=network[name].path, interface=interface, label=f"{name}:{interface}")
        for name, interface in [("mn", "lte"), ("mn", "wifi"), ("mn", "sat"), ("cn", "eth0")]
    ]
    capture = network.namespaces.start(
        network[CORRESPONDENT],
        [
            sys.executable,
            "-m",
            "mcoa.lab.capture",
            str(file),
            "2000000",
            *[tap.argument() for tap in taps],
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert capture.stdin is not None
    assert capture.stdout is not None
    assert capture.stdout.readline() == b"ready\n"
    destination = str(network.care_of_addresses()["lte"])
    for command, first_port in ((b"signalling\n", 22400), (b"everything\n", 22500)):
        capture.stdin.write(command)
        capture.stdin.flush()
        meter = stream(network, first_port)
        start_echo(
            network.namespaces,
            network[CORRESPONDENT],
            destination,
            identifier=4,
            duration_s=0.5,
        ).result()
        meter.result()
    capture.stdin.close()
    assert capture.wait(5) == 0
    packets = dissect(file)
    ports = Counter(port for packet in packets for port in packet["tcp.port"].split(","))
    assert ports["22500"] > 200
    assert ports["22400"] < 50  # what the end of the connections left under way
    echoes = [packet for packet in packets if packet["icmpv6.echo.identifier"]]
    assert {packet["frame.interface_name"] for packet in echoes} == {"mn:lte", "cn:eth0"}
    assert len(echoes) == pytest.approx(4 * 100, abs=8)
    for packet in packets:
        captured, whole = int(packet["frame.cap_len"]), int(packet["frame.len"])
        assert captured == whole or (captured == 128 and packet["tcp.port"])
        assert whole <= 1514


def dissect(file: Path) -> list[dict[str, str]]:
    fields = (
        "frame.interface_name",
        "frame.len",
        "frame.cap_len",
        "tcp.port",
        "icmpv6.echo.identifier",
    )
    words = [word for field in fields for word in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-r", str(file), "-T", "fields", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [dict(zip(fields, row, strict=True)) for row in rows]
