"""Tunnel packets as they were on the wire: whole, with options, in fragments, damaged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.packets import CARE_OF as ALL_CARE_OF
from dataplane.packets import SERVICE
from mcoa.dataplane.copies import mark
from mcoa.dataplane.counters import Drops
from mcoa.dataplane.fragment import fragment_packet
from mcoa.dataplane.packet import (
    encapsulate,
    encapsulate_with,
    encapsulation_limit_header,
    tunnel_prefix,
)
from mcoa.dataplane.tunnel_exit import TunnelExit

CARE_OF = ALL_CARE_OF[0]
PREFIX = tunnel_prefix(SERVICE, CARE_OF)
INNER = b"\x60\xb0\0\0" + (1400).to_bytes(2) + b"\x3b\x40" + bytes(32 + 1400)
WAYS = {
    "plain": (encapsulate(INNER, PREFIX), None),
    "copy": (encapsulate_with(mark(9), INNER, PREFIX), 9),
    "limited": (encapsulate_with(encapsulation_limit_header(4), INNER, PREFIX), None),
}


def opener() -> TunnelExit:
    return TunnelExit(Drops(lambda *_: None))


@pytest.mark.parametrize("way", WAYS)
def test_what_is_inside_comes_out_with_all_that_the_header_said(way: str) -> None:
    packet, number = WAYS[way]
    assert opener().open(packet, 0.0) == (INNER, SERVICE, CARE_OF, packet[1] >> 4, number)


@pytest.mark.parametrize(
    ("way", "head"),
    [(way, 40) for way in WAYS] + [("copy", 48), ("limited", 48)],  # 48: behind the options
)
def test_fragments_are_put_together(way: str, head: int) -> None:
    packet, number = WAYS[way]
    first, last = fragment_packet(packet, 1280, 5, head)
    tunnel_exit = opener()
    assert tunnel_exit.open(last, 0.0) is None
    opened = tunnel_exit.open(first, 0.1)
    assert opened is not None
    assert (opened[0], opened[4]) == (INNER, number)
    assert tunnel_exit.counts() == {"reassembled": 1}


def test_a_fragment_alone_is_given_up() -> None:
    tunnel_exit = opener()
    tunnel_exit.open(fragment_packet(WAYS["plain"][0], 1280, 5)[0], 0.0)
    tunnel_exit.expire(61.0)
    assert tunnel_exit.counts() == {"reassembled": 0, "too late": 1}


def test_padding_of_the_link_is_cut_off() -> None:
    opened = opener().open(WAYS["plain"][0] + bytes(9), 0.0)
    assert opened is not None
    assert opened[0] == INNER


@pytest.mark.parametrize(
    "options",
    [bytes.fromhex("2900c204000000 00"), bytes.fromhex("2902010400000000c910") + SERVICE],
)
def test_options_that_may_not_be_skipped_are_refused(options: bytes) -> None:
    drops = Drops(lambda *_: None)
    packet = encapsulate_with(options, INNER, PREFIX)
    assert TunnelExit(drops).open(packet, 0.0) is None
    assert drops.occurred() == {"malformed": 1}


@given(st.sampled_from(list(WAYS)), st.data())
def test_any_octets_are_opened_or_dropped(way: str, data: st.DataObject) -> None:
    packet = bytearray(WAYS[way][0][: data.draw(st.integers(41, 200))])
    for place in data.draw(st.lists(st.integers(0, len(packet) - 1), max_size=4)):
        packet[place] = data.draw(st.integers(0, 255))
    opened = opener().open(bytes(packet), 0.0)
    assert opened is None or opened[0] in bytes(packet)
