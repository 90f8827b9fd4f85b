"""Echoes and ports."""

from hypothesis import given
from hypothesis import strategies as st

from mcoa.dataplane.icmp import icmpv6_packet
from mcoa.lab.simulated.clock import Clock
from mcoa.lab.simulated.echo import EchoTrain
from mcoa.lab.simulated.host import Host
from mcoa.lab.simulated.segments import Segments
from mcoa.wire.icmpv6 import EchoReply

ONE, OTHER = bytes.fromhex("20010db8") + bytes(11) + b"\x01", bytes(15) + b"\x02"


def test_a_host_answers_echoes_and_the_train_knows_which_were() -> None:
    clock, is_lost = Clock(), {3, 4}
    requests: list[bytes] = []

    def carry(packet: bytes) -> None:
        requests.append(packet)
        if len(requests) - 1 not in is_lost:
            clock.after(0.02, lambda: other.take(packet))

    one = Host(ONE, carry)
    other = Host(OTHER, lambda packet: clock.after(0.03, lambda: one.take(packet)))
    train = EchoTrain(clock, one, OTHER, identifier=7, count=10, interval_s=0.01)
    train.begin()
    clock.run_until(1.0)
    result = train.result()
    assert len(result.sent_s) == 10
    assert [n for n, time_s in enumerate(result.received_s) if time_s is None] == [3, 4]
    assert round((result.round_trip(0.0, 1.0) or 0.0) * 1000) == 50
    assert round(result.longest_silence(0.06) * 1000) == 30


def test_what_nobody_waits_for_is_left_alone() -> None:
    sent: list[bytes] = []
    host = Host(ONE, sent.append)
    host.take(Segments(OTHER, ONE, 5000).packet(1, 2))
    host.take(icmpv6_packet(EchoReply(identifier=9, sequence=1, data=b""), OTHER, ONE))
    assert sent == []


@given(st.integers(1, 0xFFFF))
def test_a_port_gets_its_packets(port: int) -> None:
    host, taken = Host(ONE, lambda _: None), []
    host.open_port(port, taken.append)
    packet = Segments(OTHER, ONE, port).packet(1, 2)
    host.take(packet)
    host.take(Segments(OTHER, ONE, port ^ 1).packet(1, 2))
    assert taken == [packet]
