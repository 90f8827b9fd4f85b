"""The durable form of a binding cache entry."""

import struct
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.binding.cache import Binding, CacheEntry
from mcoa.binding.flow_bindings import FlowBinding
from mcoa.engine.addresses import ipv4_mapped
from mcoa.runtime.records import RecordError, emit_record, parse_record
from mcoa.wire.selectors import Ipv6TrafficSelector

HOME = IPv6Address("2001:db8:1::100")
OFFSET_S = 1_700_000_000.0

times = st.floats(0.0, 1e6).map(
    lambda value: round(value * 1024) / 1024
)  # exact in both clocks
bindings = st.builds(
    Binding,
    bid=st.none() | st.integers(1, 0xFFFF),
    care_of_address=st.ip_addresses(v=6),
    expires_at_s=times,
    verified_at_s=times,
    priority=st.integers(0, 127),
    home=st.booleans(),
    defended=st.booleans(),
    port=st.integers(0, 0xFFFF),
    told=st.none() | st.ip_addresses(v=4).map(ipv4_mapped),
)
flows = st.builds(
    FlowBinding,
    fid=st.integers(1, 0xFFFF),
    priority=st.integers(0, 0xFFFF),
    selector=st.builds(
        Ipv6TrafficSelector,
        start_source=st.none() | st.ip_addresses(v=6),
        start_flow_label=st.none() | st.integers(0, 0xFFFFF),
        start_source_port=st.none() | st.integers(0, 0xFFFF),
        start_next_header=st.none() | st.integers(0, 0xFF),
    ),
    bids=st.lists(st.integers(1, 0xFFFF), min_size=1, max_size=8).map(tuple),
)
entries = st.builds(
    CacheEntry,
    home_address=st.just(HOME),
    sequence=st.integers(0, 0xFFFF),
    bindings=st.lists(bindings, max_size=4).map(tuple),
    lifetime_s=st.integers(0, 262140),
    forget_at_s=st.none() | times,
    link_layer_address=st.sampled_from((b"", bytes.fromhex("020000000064"), bytes(8))),
    flows=st.lists(flows, max_size=4).map(tuple),
    link_local=st.booleans(),
).filter(lambda entry: entry.bindings or not entry.link_local)


@given(entries)
def test_a_record_restores_its_entry(entry: CacheEntry) -> None:
    octets = emit_record(entry, offset_s=OFFSET_S)
    assert parse_record(HOME, octets, offset_s=OFFSET_S) == entry


def test_times_survive_a_clock_that_begins_anew() -> None:
    entry = CacheEntry(home_address=HOME, sequence=1, forget_at_s=50.0)
    octets = emit_record(entry, offset_s=1000.0)
    assert parse_record(HOME, octets, offset_s=1040.0).forget_at_s == 10.0


@given(st.binary(max_size=120))
def test_any_octets_are_a_record_or_an_error(octets: bytes) -> None:
    try:
        parse_record(HOME, octets, offset_s=OFFSET_S)
    except RecordError as error:
        assert str(HOME) in str(error)


def test_a_cut_record_is_refused() -> None:
    octets = emit_record(CacheEntry(home_address=HOME, sequence=1), offset_s=0.0)
    with pytest.raises(RecordError, match="octets"):
        parse_record(HOME, octets + b"\0", offset_s=0.0)


def test_a_record_of_the_first_version_is_read() -> None:
    """An agent that is upgraded keeps its bindings."""
    head = struct.pack(">BHIdB", 1, 7, 60, 0.0, 1)
    body = struct.pack(">HBB16sdd", 3, 0, 0, HOME.packed, 90.0, 30.0)
    entry = parse_record(HOME, head + body, offset_s=0.0)
    assert (entry.sequence, entry.link_layer_address) == (7, b"")
    [binding] = entry.bindings
    assert (binding.bid, binding.home, binding.defended) == (3, False, False)


def test_a_record_of_the_third_version_has_no_ports() -> None:
    head = struct.pack(">BHIdB", 3, 7, 60, 0.0, 1) + b"\0"
    body = struct.pack(">HBB16sdd", 3, 0, 0x80, HOME.packed, 90.0, 30.0)
    [binding] = parse_record(HOME, head + body, offset_s=0.0).bindings
    assert (binding.bid, binding.home, binding.port, binding.told) == (3, True, 0, None)


def test_a_record_of_the_second_version_has_no_flows() -> None:
    entry = CacheEntry(home_address=HOME, sequence=7, link_layer_address=bytes(6))
    octets = emit_record(entry, offset_s=0.0)
    assert parse_record(HOME, b"\2" + octets[1:], offset_s=0.0) == entry
    with pytest.raises(RecordError, match="octets"):
        parse_record(HOME, b"\2" + octets[1:] + b"\x2d\6" + bytes(6), offset_s=0.0)
