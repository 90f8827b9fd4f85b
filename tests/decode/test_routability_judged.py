"""Every token, key and mark of a run, judged by Wireshark and by the RFC's own formulas."""

import struct
from contextlib import suppress
from ipaddress import IPv6Network
from pathlib import Path
from random import Random

import pytest

from decode.captures import pcap
from decode.routability import (
    ACKNOWLEDGEMENT,
    CARE_OF_TEST,
    HOME_TEST,
    UPDATE,
    Verdict,
    headers,
    judge,
)
from decode.tshark import needs_tshark, opinions
from mcoa.lab.simulated.echo import EchoTrain
from mcoa.lab.simulated.network import PacketNetwork
from mcoa.lab.topology import Topology

NODE_KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f10111213")
NONCE = bytes.fromhex("0102030405060708")
CORRESPONDENT = bytes.fromhex("20010db800090000000000000000000c")
VECTORS = {  # made elsewhere: the update of a BID, and its deletion
    "bind": "3b07050033c800078000006901040000000023140001000020010db8000a000000000000000000"
    "0104040011001101020000050c0e810206fad3d60fc9d7a71c",
    "delete": "3b040500cd970008800000002304000100000404001100000100050c975fbe137346b3ed52e7186f",
}


@pytest.fixture(scope="module")
def run() -> tuple[PacketNetwork, list[bytes]]:
    """Play tests, bindings, a cut with its farewell, and a renewal of tokens."""
    packets: list[bytes] = []
    network = PacketNetwork(Topology(), Random(11))
    network.taps.append(lambda _link, _way, packet: packets.append(packet))
    network.start_agent()
    network.start_correspondent()
    network.start_node(optimized=(IPv6Network("::/0"),))
    network.clock.run_until(2.0)
    train = EchoTrain(
        network.clock,
        network.correspondent,
        network.mobile_node.address,
        identifier=1,
        count=250,
        interval_s=1.0,
    )
    train.begin()
    network.clock.run_until(20.0)
    network.cut("lte")
    network.clock.run_until(30.0)
    network.restore("lte")
    network.clock.run_until(240.0)
    return network, packets


def verdict_on(run: tuple[PacketNetwork, list[bytes]]) -> Verdict:
    network, packets = run
    secrets = network.peer.nonces
    nonces = {index: nonce for index, (nonce, _) in secrets._nonces.items()}
    recent = _of_known_nonces(packets, nonces)
    peer = network.topology.correspondent.packed
    return judge(recent, peer, node_key=secrets._key, nonces=nonces)


def _of_known_nonces(packets: list[bytes], nonces: dict[int, bytes]) -> list[bytes]:
    """Return the packets since the first test with a nonce that is still known."""
    for number, packet in enumerate(packets):
        for header in headers([packet]):
            is_test = header.type in (HOME_TEST, CARE_OF_TEST)
            if is_test and int.from_bytes(header.octets[6:8]) in nonces:
                return packets[number:]
    return []


def test_the_formulas_agree_with_vectors_made_elsewhere() -> None:
    home = bytes.fromhex("20010db8000100000000000000000100")
    care_of = bytes.fromhex("20010db8000a00000000000000000001")
    made = []
    for kind, address, token in (
        (HOME_TEST, home, "37ef3c8eb202a6f2"),
        (CARE_OF_TEST, care_of, "1f38daf469d5b83f"),
    ):
        octets = bytes((59, 2, kind, 0, 0, 0, 0, 17)) + bytes(8) + bytes.fromhex(token)
        made.append(_packet(CORRESPONDENT, address, 135, octets))
    for octets in VECTORS.values():
        option = bytes((135, 2, 1, 2, 0, 0, 201, 16)) + home
        made.append(_packet(care_of, CORRESPONDENT, 60, option + bytes.fromhex(octets)))
    verdict = judge(made, CORRESPONDENT, node_key=NODE_KEY, nonces={17: NONCE})
    assert verdict.tokens == 2
    assert verdict.marks == {UPDATE: 2}
    # The two tests were made here without a checksum.
    assert verdict.faults == [f"checksum of type {kind}" for kind in (HOME_TEST, CARE_OF_TEST)]


def _packet(source: bytes, destination: bytes, protocol: int, payload: bytes) -> bytes:
    head = b"\x60\0\0\0" + len(payload).to_bytes(2) + bytes((protocol, 64))
    return head + source + destination + payload


@pytest.mark.requirement("S5.2-05", "S5.2-07")
def test_all_that_was_said_comes_out_the_same(run: tuple[PacketNetwork, list[bytes]]) -> None:
    network, packets = run
    verdict = judge(packets, network.topology.correspondent.packed)
    assert verdict.faults == []
    assert verdict.marks[UPDATE] >= 5
    assert verdict.marks[ACKNOWLEDGEMENT] >= 5


def test_tokens_come_out_the_same_from_the_node_key(
    run: tuple[PacketNetwork, list[bytes]],
) -> None:
    verdict = verdict_on(run)
    assert verdict.faults == []
    assert verdict.tokens >= 4


def test_the_judge_sees_every_octet_that_is_not_as_it_was(
    run: tuple[PacketNetwork, list[bytes]],
) -> None:
    network, packets = run
    peer = network.topology.correspondent.packed
    [first, *_] = [
        p for p in packets for h in headers([p]) if h.type == UPDATE and peer == h.destination
    ]
    at = packets.index(first)
    for octet in range(len(first) - 50, len(first)):
        changed = bytearray(first)
        changed[octet] ^= 1
        forged = [*packets[:at], bytes(changed), *packets[at + 1 :]]
        # An index or a length that is another one may make it unreadable altogether.
        with suppress(KeyError, IndexError, struct.error):
            assert judge(forged, peer).faults


@needs_tshark
def test_wireshark_reads_the_same_values(
    run: tuple[PacketNetwork, list[bytes]], tmp_path: Path
) -> None:
    network, packets = run
    peer = network.topology.correspondent.packed
    said = [(p, h) for p in packets for h in headers([p]) if peer in (h.source, h.destination)]
    path = tmp_path / "run.pcap"
    path.write_bytes(pcap(packet for packet, _ in said))
    seen = opinions(path)
    assert len(seen) == len(said) >= 25
    for opinion, (_, header) in zip(seen, said, strict=True):
        assert not opinion.malformed
        assert opinion.fields["mip6.mhtype"] == str(header.type)
        if header.type == HOME_TEST:
            assert _octets(opinion.fields["mip6.hot.token"]) == header.octets[16:24]
        if header.type in (UPDATE, ACKNOWLEDGEMENT) and 5 in header.options():
            assert _octets(opinion.fields["mip6.bad.auth"]) == header.options()[5]
        if header.type == UPDATE:
            home, care_of = opinion.fields["mip6.ni.hni"], opinion.fields["mip6.ni.cni"]
            options = header.options()
            assert (int(home), int(care_of)) == (
                int.from_bytes(options[4][:2]),
                int.from_bytes(options[4][2:]),
            )


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x").replace(":", ""))
