"""Forks writers to a store, kills each at a random instant, and checks what it left.

A program of its own, since it forks: `python killed_writers.py DIRECTORY ROUNDS SEED`.
"""

import os
import signal
import sys
from pathlib import Path
from random import Random
from time import sleep

from mcoa.runtime.store import Store

COMPACT_ABOVE = 4096  # so that many kills meet a rewriting of the log
LONGEST_LIFE_S = 0.03


def batch(number: int) -> list[tuple[bytes, bytes]]:
    """Return the batch of this number: three records that say it, and a deletion."""
    names = (number % 7, 100 + number % 11, 1000 + number % 90)
    records = [(name.to_bytes(16), number.to_bytes(8) * 5) for name in names]
    return [*records, ((2000 + number % 2).to_bytes(16), b"" if number % 3 else b"here")]


def write_until_killed(directory: Path, first: int, acknowledgements: int) -> None:
    """Commit batch after batch, and acknowledge each when it is durable."""
    store = Store.open(directory, compact_above=COMPACT_ABOVE)
    number = first
    while True:
        store.commit(batch(number))
        os.write(acknowledgements, number.to_bytes(8))
        number += 1


def one_life(directory: Path, first: int, life_s: float) -> int:
    """Let a writer live for `life_s`; return the number that follows the last acknowledged."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        write_until_killed(directory, first, writer)
    os.close(writer)
    sleep(life_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        octets = pipe.read()
    return int.from_bytes(octets[-8:]) + 1 if octets else first


def main(directory: Path, rounds: int, seed: int) -> None:
    """Run the rounds; exit with a sentence when an acknowledged record is missing."""
    rng = Random(seed)
    expected: dict[bytes, bytes] = {}
    following = 0
    for life in range(rounds):
        first, following = following, 0
        following = one_life(directory, first, rng.uniform(0, LONGEST_LIFE_S))
        for number in range(first, following):
            expected.update(batch(number))
        store = Store.open(directory, compact_above=COMPACT_ABOVE)
        live = store.load()
        unacknowledged = dict(batch(following))
        for name, record in expected.items():
            if live.get(name, b"") not in (record, unacknowledged.get(name, record)):
                sys.exit(f"seed {seed}, life {life}: {name.hex()} is {live.get(name)!r}")
        if store.recovery.gaps or store.recovery.header_damaged:
            sys.exit(f"seed {seed}, life {life}: {store.recovery}")
        store.commit(batch(following))  # as if the unacknowledged one were sent again
        expected.update(unacknowledged)
        following += 1
        store.close()
    sys.stdout.write(f"{rounds} kills, {following} batches, no acknowledged record missing\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
