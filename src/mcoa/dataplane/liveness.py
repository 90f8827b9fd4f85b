"""Whether a path delivers: judged by probes that are answered over the path they came by.

A probe is an echo request in the path's tunnel, with a nonce that nobody can guess; its answer
proves both directions. A path is down when as many answers in a row are overdue as the multiplier
says, as in bidirectional forwarding detection (RFC 5880), and while another path of the same
home address still answers: where all are silent the other end is, and no path is to blame.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from random import Random
from typing import Final

_NONCE_OCTETS: Final = 16
_MOST_UNANSWERED: Final = 64
_MOST_FORMER: Final = 256
_WINDOW: Final = 32
_LOSSY, _CLEAN = 0.15, 0.05
_LEAST_JUDGED: Final = 20  # answers or losses before a path is called lossy, or clean again
_ANSWERS_TO_RETURN: Final = 5
_MORE_EACH_TIME, _MOST_ANSWERS_TO_RETURN = 4, 200
_REMEMBERED_S: Final = 30.0
_LEAST_SLACK_S: Final = 0.010  # of clocks and schedulers
_FORGOTTEN_S: Final = 5.0
_SMOOTHING: Final = 1 / 8


class Health(StrEnum):
    """What is known of a path."""

    UP = "up"
    DEGRADED = "degraded"
    """It loses packets."""

    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often paths are probed.

    Attributes:
        interval_s: between two probes of a path that has traffic.
        idle_interval_s: of one that has none.
        multiplier: answers in a row that are missed before a path is down.
    """

    interval_s: float = 0.05
    idle_interval_s: float = 1.0
    multiplier: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One echo request to be sent over a path."""

    identifier: int
    sequence: int
    nonce: bytes


class Liveness:
    """One path.

    Attributes:
        health: as judged last.
        round_trip_s: smoothed; None before the first answer.
        jitter_s: how much round trips differ from that, smoothed.
        answered_at_s: when an answer came last, or since when the path is looked after.
    """

    def __init__(self, identifier: int, pace: Pace, rng: Random, now: float) -> None:
        self.identifier = identifier
        self.health = Health.UP
        self.round_trip_s: float | None = None
        self.jitter_s = 0.0
        self.answered_at_s = now
        self._pace = pace
        self._rng = rng
        self._sequence = 0
        self._next_at_s = now
        self._is_busy = False
        self._unanswered: OrderedDict[int, tuple[bytes, float]] = OrderedDict()
        self._outcomes: deque[bool] = deque(maxlen=_WINDOW)
        self._in_a_row = 0
        self._needed = _ANSWERS_TO_RETURN
        self._needed_before = _ANSWERS_TO_RETURN
        self._fell_at_s = -_REMEMBERED_S

    @property
    def loss(self) -> float:
        """The share of the last probes that had no answer."""
        return self._outcomes.count(False) / len(self._outcomes) if self._outcomes else 0.0

    @property
    def next_at_s(self) -> float:
        """When the next probe is due."""
        return self._next_at_s

    @property
    def falls_at_s(self) -> float:
        """When the path will have been silent for too long, as it looks now; may be infinite."""
        sent = [sent_at_s for _, sent_at_s in self._unanswered.values()]
        if len(sent) < self._pace.multiplier or self.health is Health.DOWN:
            return inf
        return sent[self._pace.multiplier - 1] + self._usual()

    def busy(self, is_busy: bool, now: float) -> None:  # noqa: FBT001
        """Know whether the path has traffic; what begins to have some is looked at at once."""
        if is_busy and not self._is_busy:
            self._next_at_s = min(self._next_at_s, now)
        self._is_busy = is_busy

    def due(self, now: float) -> Probe | None:
        """Return the probe to send now, if it is time for one."""
        if now < self._next_at_s:
            return None
        self._expire(now)
        hurries = self._is_busy or self.health is not Health.UP or bool(self._overdue(now))
        self._next_at_s = now + (
            self._pace.interval_s if hurries else self._pace.idle_interval_s
        )
        self._sequence = self._sequence + 1 & 0xFFFF
        nonce = self._rng.randbytes(_NONCE_OCTETS)
        self._unanswered[self._sequence] = (nonce, now)
        if len(self._unanswered) > _MOST_UNANSWERED:
            self._lose(next(iter(self._unanswered)))
        return Probe(identifier=self.identifier, sequence=self._sequence, nonce=nonce)

    def answered(self, sequence: int, nonce: bytes, now: float) -> bool:
        """Take an answer; False for one that was not asked for."""
        asked = self._unanswered.get(sequence)
        if asked is None or asked[0] != nonce:
            return False
        # What was asked before and has no answer yet has most likely none to come.
        for earlier in [each for each in self._unanswered if each != sequence]:
            if self._unanswered[earlier][1] < asked[1] - self._patience():
                self._lose(earlier)
        del self._unanswered[sequence]
        self._measure(now - asked[1])
        if self.health is Health.DOWN and asked[1] <= self._fell_at_s:
            self._was_late()
        self.answered_at_s = now
        self._outcomes.append(True)
        self._in_a_row += 1
        return True

    def has_answered_since(self, since_s: float) -> bool:
        """Return True if an answer came since then; that a path is new is none."""
        return self.round_trip_s is not None and self.answered_at_s >= since_s

    def silent_since(self, now: float) -> float | None:
        """Return when the first of the missing answers was expected; None while all is well."""
        overdue = self._overdue(now)
        return overdue[0] if len(overdue) >= self._pace.multiplier else None

    def judge(self, now: float, *, others_answer: bool) -> Health:
        """Return how the path is; `others_answer` since this one fell silent."""
        self._expire(now)
        silent = self.silent_since(now) is not None
        if silent:
            self._in_a_row = 0
        if silent and others_answer:
            if self.health is not Health.DOWN:
                self._fall(now)
            self.health = Health.DOWN
        elif silent:  # that says nothing about this path
            self._outcomes.clear()
        elif self.health is Health.DOWN and self._in_a_row < self._needed:
            pass
        elif len(self._outcomes) >= _LEAST_JUDGED and self.loss >= _LOSSY:
            self.health = Health.DEGRADED
        elif self.health is not Health.DEGRADED or self.loss <= _CLEAN:
            self.health = Health.UP
        return self.health

    def _fall(self, now: float) -> None:
        """Ask for more answers before it may return, of a path that falls again and again."""
        self._needed_before = self._needed
        is_again = now - self._fell_at_s < _REMEMBERED_S
        more = min(self._needed * _MORE_EACH_TIME, _MOST_ANSWERS_TO_RETURN)
        self._needed = more if is_again else _ANSWERS_TO_RETURN
        self._fell_at_s = now

    def _was_late(self) -> None:
        """Take back a fall: what was missed has come, so the path was slow, not silent."""
        self._needed, self._in_a_row = self._needed_before, self._needed_before
        self._fell_at_s = -_REMEMBERED_S

    def _patience(self) -> float:
        """Return how much later than usual an answer may be."""
        return max(4 * self.jitter_s, _LEAST_SLACK_S)

    def _usual(self) -> float:
        """Return after how long an answer is overdue."""
        if self.round_trip_s is None:
            return self._pace.idle_interval_s
        return self.round_trip_s + self._patience()

    def _overdue(self, now: float) -> list[float]:
        """Return when answers that should be here were expected, in order."""
        usual = self._usual()
        return [
            sent_at_s + usual
            for _, sent_at_s in self._unanswered.values()
            if sent_at_s + usual <= now
        ]

    def _expire(self, now: float) -> None:
        while self._unanswered:
            sequence, (_, sent_at_s) = next(iter(self._unanswered.items()))
            if now - sent_at_s < _FORGOTTEN_S:
                return
            self._lose(sequence)

    def _lose(self, sequence: int) -> None:
        del self._unanswered[sequence]
        self._outcomes.append(False)
        self._in_a_row = 0

    def _measure(self, round_trip_s: float) -> None:
        if self.round_trip_s is None:
            self.round_trip_s, self.jitter_s = round_trip_s, round_trip_s / 2
            return
        difference = round_trip_s - self.round_trip_s
        self.jitter_s += (abs(difference) - self.jitter_s) * _SMOOTHING
        self.round_trip_s += difference * _SMOOTHING


Place = tuple[bytes, int]
"""A path by its home address and BID."""


class Prober:
    """All paths that are looked after, of any number of home addresses."""

    def __init__(self, pace: Pace, rng: Random) -> None:
        self._pace = pace
        self._rng = rng
        self._paths: dict[Place, tuple[bytes, Liveness]] = {}
        self._by_identifier: dict[int, Place] = {}
        self._former: deque[int] = deque(maxlen=_MOST_FORMER)

    def follow(self, paths: dict[Place, tuple[bytes, bool]], now: float) -> None:
        """Look after exactly these: a care-of address each, and whether there is traffic."""
        for place in self._paths.keys() - paths.keys():
            self._forget(place)
        for place, (care_of_address, is_busy) in paths.items():
            known = self._paths.get(place)
            if known is not None and known[0] != care_of_address:
                self._forget(place)
                known = None
            if known is None:
                liveness = Liveness(self._identifier(), self._pace, self._rng, now)
                known = self._paths[place] = (care_of_address, liveness)
                self._by_identifier[liveness.identifier] = place
            known[1].busy(is_busy, now)

    def liveness(self, place: Place) -> Liveness | None:
        """Return what is known of a path; None for one that is not looked after."""
        known = self._paths.get(place)
        return known[1] if known else None

    def due(self, now: float) -> list[tuple[Place, Probe]]:
        """Return the probes to be sent now."""
        found = ((place, liveness.due(now)) for place, (_, liveness) in self._paths.items())
        return [(place, probe) for place, probe in found if probe is not None]

    def answered(self, identifier: int, sequence: int, nonce: bytes, now: float) -> bool:
        """Take an answer; False for one that is none of ours."""
        place = self._by_identifier.get(identifier)
        if place is None:
            # Of a path that is looked after no more an answer may still be under way.
            return identifier in self._former and len(nonce) == _NONCE_OCTETS
        self._paths[place][1].answered(sequence, nonce, now)
        return True

    def judge(self, now: float) -> list[tuple[Place, Health]]:
        """Return the paths that are another way than before."""
        changes: list[tuple[Place, Health]] = []
        for place, (_, liveness) in self._paths.items():
            before = liveness.health
            others = self._others_answer(place, liveness.silent_since(now))
            if liveness.judge(now, others_answer=others) is not before:
                changes.append((place, liveness.health))
        return changes

    def next_deadline(self, now: float) -> float:
        """Return when to look again; never long from now while there are paths."""
        deadlines = [now + self._pace.idle_interval_s]
        for _, liveness in self._paths.values():
            deadlines.append(liveness.next_at_s)
            # What was due and was judged has been judged: others may have been silent, too.
            if liveness.falls_at_s > now:
                deadlines.append(liveness.falls_at_s)
        return min(deadlines)

    def _others_answer(self, place: Place, since_s: float | None) -> bool:
        if since_s is None:
            return False
        return any(
            other != place and other[0] == place[0] and liveness.has_answered_since(since_s)
            for other, (_, liveness) in self._paths.items()
        )

    def _identifier(self) -> int:
        while True:
            identifier = self._rng.getrandbits(16)
            if identifier not in self._by_identifier:
                return identifier

    def _forget(self, place: Place) -> None:
        _, liveness = self._paths.pop(place)
        del self._by_identifier[liveness.identifier]
        self._former.append(liveness.identifier)
