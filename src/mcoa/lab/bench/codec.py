"""The codec against scapy's: one update in, one acknowledgement out, checksums included."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from ipaddress import IPv6Address
from typing import Protocol

from mcoa.lab.bench.figures import Contest
from mcoa.lab.bench.population import BIDS, LIFETIME_S, acknowledgement, registration
from mcoa.lab.namespaces import LabError
from mcoa.runtime.signalling import emit_signalling, parse_signalling

_HOME_ADDRESS = IPv6Address("2001:db8:1::8c1f:3a07:55d2:9e64")
_SEQUENCE = 4711


class ReadUpdate(Protocol):
    """Reads the packet of an update; returns its sequence number and its BIDs."""

    def __call__(self, packet: bytes) -> tuple[int, tuple[int, ...]]:
        """Raise ValueError for a wrong checksum."""
        ...


class WriteAcknowledgement(Protocol):
    """Returns the packet of an acknowledgement that accepts some BIDs."""

    def __call__(
        self,
        source: str,
        destination: str,
        home_address: str,
        sequence: int,
        lifetime_s: int,
        bids: tuple[int, ...],
    ) -> bytes:
        """Addresses come as scapy wants them, in text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A codec by others."""

    read: ReadUpdate
    write: WriteAcknowledgement


def scapy() -> Judge:
    """Return scapy's codec.

    Raises:
        LabError: it is not installed.
    """
    try:
        module = import_module("mcoa.lab.bench.scapy_codec")
    except ImportError as error:
        raise LabError(
            f"the benchmark compares with scapy, which is not installed: {error}"
        ) from None
    return Judge(read=module.read_update, write=module.write_acknowledgement)


def ours() -> Callable[[], None]:
    """Return what reads one update and writes one acknowledgement, as the daemon does."""
    packet = emit_signalling(registration(_HOME_ADDRESS, _SEQUENCE))
    answer = acknowledgement(_HOME_ADDRESS, _SEQUENCE)

    def once() -> None:
        parse_signalling(packet)
        emit_signalling(answer)

    return once


def theirs(judge: Judge) -> Callable[[], None]:
    """Return what does the same with scapy.

    Raises:
        LabError: it does not understand the update, or writes another acknowledgement.
    """
    packet = emit_signalling(registration(_HOME_ADDRESS, _SEQUENCE))
    answer = acknowledgement(_HOME_ADDRESS, _SEQUENCE)
    envelope = answer.envelope
    source, destination = str(envelope.source), str(envelope.destination)
    home_address = str(_HOME_ADDRESS)

    def write() -> bytes:
        return judge.write(source, destination, home_address, _SEQUENCE, LIFETIME_S, BIDS)

    if judge.read(packet) != (_SEQUENCE, BIDS) or write() != emit_signalling(answer):
        raise LabError("scapy and mcoa do not agree on the messages to be measured")

    def once() -> None:
        judge.read(packet)
        write()

    return once


def codec_contest(rounds: int, messages: int) -> Contest:
    """Return the contest of "codec" and "scapy"; microseconds for both messages.

    Args:
        rounds: of each of the two.
        messages: a round of ours; scapy gets a twentieth of it.

    Raises:
        LabError: scapy is not installed, or does not agree on the messages.
    """
    contenders = {
        "codec": _timed(ours(), messages),
        "scapy": _timed(theirs(scapy()), max(1, messages // 20)),
    }
    return Contest(contenders, rounds)


def _timed(once: Callable[[], None], times: int) -> Callable[[], float]:
    def a_round() -> float:
        # What one leaves to be collected must not be charged to the other.
        gc.collect()
        begun_s = time.perf_counter()
        for _ in range(times):
            once()
        return (time.perf_counter() - begun_s) / times * 1e6

    return a_round
