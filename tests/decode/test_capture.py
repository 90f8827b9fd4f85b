"""Files of every kind give their frames, and rubbish gives a damage instead of an error."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decode.captures import (
    ETHERNET,
    RAW_IP,
    block,
    enhanced,
    interface,
    obsolete,
    pcap,
    section,
    simple,
)
from mcoa.decode.capture import read_frames
from mcoa.decode.describe import describe
from mcoa.decode.frames import LONGEST_FRAME, Captured, Damage, Frame
from mcoa.decode.sentence import sentences

PACKETS = [b"first", b"", b"the third"]


def _read(data: bytes) -> list[Captured]:
    return list(read_frames(BytesIO(data)))


def _frames(link_type: int | None, packets: list[bytes] = PACKETS) -> list[Frame]:
    return [
        Frame(number=number, link_type=link_type, data=data)
        for number, data in enumerate(packets, 1)
    ]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D])
def test_pcap_of_either_order_and_clock(order: str, magic: int) -> None:
    data = pcap(PACKETS, ETHERNET | 0x3000_0000, order=order, magic=magic)
    assert _read(data) == _frames(ETHERNET)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_of_either_order(order: str) -> None:
    head = section(order) + interface(order=order)
    body = b"".join(enhanced(packet, order=order) for packet in PACKETS)
    assert _read(head + body) == _frames(RAW_IP)


def test_pcapng_blocks_of_every_kind() -> None:
    data = section() + interface(ETHERNET) + interface(RAW_IP)
    data += simple(b"first") + block(0x0BAD, b"custom") + enhanced(b"second", 1)
    data += obsolete(b"third") + block(5, bytes(12))
    assert _read(data) == [
        Frame(number=1, link_type=ETHERNET, data=b"first"),
        Frame(number=2, link_type=RAW_IP, data=b"second"),
        Frame(number=3, link_type=ETHERNET, data=b"third"),
    ]


def test_pcapng_sections_have_their_own_interfaces_and_order() -> None:
    data = section("<") + interface(ETHERNET) + enhanced(b"first")
    data += section(">") + interface(RAW_IP, ">") + enhanced(b"second", order=">")
    assert _read(data) == [
        Frame(number=1, link_type=ETHERNET, data=b"first"),
        Frame(number=2, link_type=RAW_IP, data=b"second"),
    ]


def test_pcapng_simple_packets_end_at_the_snapshot_length() -> None:
    data = section() + interface(RAW_IP, snapshot=4) + simple(b"12345678")
    assert _read(data) == [Frame(number=1, link_type=RAW_IP, data=b"1234")]


def test_pcapng_goes_on_behind_a_packet_that_makes_no_sense() -> None:
    data = section() + interface() + enhanced(b"lost", 7) + enhanced(b"found")
    damage, frame = _read(data)
    assert isinstance(damage, Damage)
    assert "names no interface" in damage.reason
    assert frame == Frame(number=2, link_type=RAW_IP, data=b"found")


@pytest.mark.parametrize(
    ("data", "packets", "reason"),
    [
        (pcap(PACKETS)[:20], 0, "ends in its header"),
        (pcap(PACKETS)[:-4], 2, "ends in a record of 9"),
        (pcap([b"first"]) + b"\0", 1, "ends in a record header"),
        (
            pcap([]) + b"\0" * 8 + b"\xff\xff\xff\x7f" + b"\0" * 4,
            0,
            "claims to hold 2147483647",
        ),
        (section()[:8] + b"rubbish!", 0, "byte-order magic"),
        (section() + b"\6\0\0\0\0", 0, "ends in a block header"),
        (section() + b"\6\0\0\0\x0d\0\0\0" + bytes(9), 0, "claims to have 13"),
        (section() + b"\6\0\0\0\xfc\xff\xff\xff", 0, "claims to have 4294967292"),
        (section() + interface() + enhanced(b"x")[:-8], 0, "ends in a block of 36"),
        (section() + interface()[:-4] + b"\0\0\0\1", 0, "lengths of a block differ"),
        (section() + block(1, b"1234"), 0, "less than 8 octets"),
        (section() + interface() + block(6, bytes(8)), 0, "too short or names no"),
        (section() + interface() + block(6, bytes(12) + b"\xff" * 8), 0, "to hold 4294967295"),
        (b"\0\1\2\3\4", 0, "neither pcap, pcapng nor packets in hex"),
    ],
)
def test_damage_is_told_with_its_place(data: bytes, packets: int, reason: str) -> None:
    *frames, damage = _read(data)
    assert len(frames) == packets
    assert isinstance(damage, Damage)
    assert damage.number == packets + 1
    assert reason in damage.reason
    assert 0 <= damage.offset <= len(data)


def test_text_has_a_packet_a_line() -> None:
    text = b"\xef\xbb\xbf60 01\t02\r\n\n# comment\n0x600102\n60:01:02 # and one\n  6001-02"
    assert _read(text) == _frames(None, [b"\x60\1\2"] * 4)


@pytest.mark.parametrize(
    ("line", "reason"), [("600", "odd number"), ("60 0z", "not a packet"), ("hello", "not a")]
)
def test_a_line_that_is_no_packet_is_told_and_the_next_is_read(line: str, reason: str) -> None:
    damage, frame = _read(line.encode() + b"\n6001")
    assert isinstance(damage, Damage)
    assert reason in damage.reason
    assert frame == Frame(number=2, link_type=None, data=b"\x60\1")


def test_an_empty_file_says_nothing() -> None:
    assert _read(b"") == []


def test_no_more_than_a_block_is_held_at_a_time() -> None:
    class Endless(BytesIO):
        """A record that claims much, and a stream that has it."""

        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert 0 <= size <= LONGEST_FRAME
            return super().read(size) or bytes(size)

    captured = list(read_frames(Endless(pcap([]) + b"\xff" * 16)))
    assert isinstance(captured[0], Damage)


@given(
    st.sampled_from(
        (
            b"",
            b"\xd4\xc3\xb2\xa1",
            b"\xa1\xb2\xc3\xd4",
            section(),
            section(">"),
            pcap([]),
            b"60",
        )
    ),
    st.binary(max_size=300),
)
def test_any_octets_give_frames_and_damages(beginning: bytes, rest: bytes) -> None:
    numbers = []
    for captured in read_frames(BytesIO(beginning + rest)):
        numbers.append(captured.number)
        description = describe(captured)
        if description is not None:
            assert "\n".join(sentences(description))
    assert numbers == list(range(1, len(numbers) + 1))


@given(st.lists(st.binary(max_size=60), max_size=4), st.integers(0, 400), st.integers(0, 255))
def test_a_file_with_one_octet_changed_gives_frames_and_damages(
    packets: list[bytes], place: int, octet: int
) -> None:
    for data in (
        bytearray(pcap(packets)),
        bytearray(section() + interface() + b"".join(map(enhanced, packets))),
    ):
        data[place % len(data)] = octet
        for captured in _read(bytes(data)):
            assert captured.number >= 1
