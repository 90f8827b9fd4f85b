"""A connection that stands in for TCP: a model of it, and not TCP.

What it has of TCP is what makes its answer to loss and to a cut path alike: a window that
grows in slow start and then by one segment a round trip, and shrinks by loss (RFC 5681); a
timeout from measured round trips, doubled while it strikes again (RFC 6298); delivery in
order. A segment counts as lost when three that were sent after it are confirmed, as in QUIC
(RFC 9002): that spares the model TCP's bookkeeping, and it recovers about as TCP with
selective acknowledgements does.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from math import inf

from mcoa.lab.meters.results import FlowResult
from mcoa.lab.meters.stream import GAP_FLOOR_S, MARK_INTERVAL_S
from mcoa.lab.simulated.clock import Clock
from mcoa.lab.simulated.segments import Segments, numbers

FIRST_WINDOW = 10.0  # RFC 6928
LEAST_WINDOW = 2.0
DECREASE = 0.7  # as CUBIC (RFC 9438 §4.6): the window left fills the path
REORDERING = 3
FIRST_TIMEOUT_S, LEAST_TIMEOUT_S, MOST_TIMEOUT_S = 1.0, 0.2, 60.0
OPENING_INTERVAL_S = 0.2
MOST_SILENCE_S = 1.0  # a connection that is silent for so long at the end has not survived

Send = Callable[[bytes], object]


class RoundTrips:
    """The timeout that round trips suggest (RFC 6298 §2), in seconds."""

    def __init__(self) -> None:
        self._smoothed_s = self._variation_s = 0.0
        self._factor = 1.0

    @property
    def timeout_s(self) -> float:
        """How long to wait for a confirmation."""
        known_s = self._smoothed_s + 4 * self._variation_s or FIRST_TIMEOUT_S
        return min(max(known_s, LEAST_TIMEOUT_S) * self._factor, MOST_TIMEOUT_S)

    def measured(self, round_trip_s: float) -> None:
        """Take in a round trip; it ends the backing off."""
        self._factor = 1.0
        if not self._smoothed_s:
            self._smoothed_s, self._variation_s = round_trip_s, round_trip_s / 2
            return
        deviation_s = abs(self._smoothed_s - round_trip_s)
        self._variation_s += (deviation_s - self._variation_s) / 4
        self._smoothed_s += (round_trip_s - self._smoothed_s) / 8

    def back_off(self) -> None:
        """Wait twice as long from now on."""
        self._factor *= 2.0


class Sender:
    """The sending end; it begins when the other end asks it to.

    Args:
        send: takes a whole packet.
        interval_s: between two segments that the application gives; 0: it always has one.
    """

    def __init__(
        self, clock: Clock, segments: Segments, send: Send, *, interval_s: float = 0.0
    ) -> None:
        self._clock, self._segments, self._send = clock, segments, send
        self._interval_s = interval_s
        self._supply = 0.0 if interval_s else inf
        self._next = self._missing = self._transmission = self._reduced_at = 0
        self._in_flight: OrderedDict[int, tuple[int, float]] = OrderedDict()
        self._lost: deque[int] = deque()
        self._window, self._threshold = FIRST_WINDOW, inf
        self._round_trips = RoundTrips()
        self._expires_s = self._timer_s = inf
        self._is_open = self._is_closed = False

    def begin(self) -> None:
        """Send what there is; once is enough."""
        if not self._is_open:
            self._is_open = True
            self._give()
            self._pump()

    def take(self, packet: bytes) -> None:
        """Take a confirmation, or the request to begin."""
        missing, transmission = numbers(packet)
        if self._is_closed:
            return
        self.begin()
        if transmission:
            self._confirmed(missing, transmission)
            self._pump()

    def close(self) -> None:
        """Send no more."""
        self._is_closed = True

    def _give(self) -> None:
        """Let the application give a segment every interval."""
        if self._interval_s and not self._is_closed:
            self._supply += 1
            self._pump()
            self._clock.after(self._interval_s, self._give)

    def _confirmed(self, missing: int, transmission: int) -> None:
        self._missing = max(self._missing, missing)
        is_full = len(self._in_flight) + 1 >= self._window
        sent = self._in_flight.pop(transmission, None)
        if sent is not None:
            self._round_trips.measured(self._clock.now - sent[1])
            self._restart_timer()
            if is_full:  # else the window is not what bounds the rate
                in_slow_start = self._window < self._threshold
                self._window += 1.0 if in_slow_start else 1.0 / self._window
        self._find_lost(transmission)

    def _find_lost(self, transmission: int) -> None:
        in_flight, has_lost = self._in_flight, False
        while in_flight and (oldest := next(iter(in_flight))) <= transmission - REORDERING:
            segment, _ = in_flight.pop(oldest)
            if segment >= self._missing:
                self._lost.append(segment)
                has_lost = has_lost or oldest > self._reduced_at
        if has_lost:  # once for what was lost of one window
            self._threshold = self._window = max(self._window * DECREASE, LEAST_WINDOW)
            self._reduced_at = self._transmission

    def _pump(self) -> None:
        """Send what the window allows, first what was lost."""
        in_flight, now = self._in_flight, self._clock.now
        while len(in_flight) < int(self._window):
            if self._lost:
                segment = self._lost.popleft()
                if segment < self._missing:
                    continue
            elif self._next < self._supply:
                segment, self._next = self._next, self._next + 1
            else:
                break
            if not in_flight:
                self._restart_timer()
            self._transmission += 1
            in_flight[self._transmission] = (segment, now)
            self._send(self._segments.packet(segment, self._transmission))

    def _restart_timer(self) -> None:
        self._expires_s = self._clock.now + self._round_trips.timeout_s
        self._set_timer()

    def _set_timer(self) -> None:
        """Have the clock call; a call that is due earlier finds out by itself that it is."""
        if self._expires_s < self._timer_s:
            self._timer_s = self._expires_s
            self._clock.at(self._timer_s, partial(self._timer, self._timer_s))

    def _timer(self, due_s: float) -> None:
        if due_s != self._timer_s:
            return
        self._timer_s = inf
        if self._is_closed or not self._in_flight:
            return
        if self._clock.now < self._expires_s:
            self._set_timer()
            return
        self._lost.extendleft(segment for segment, _ in reversed(self._in_flight.values()))
        self._in_flight.clear()
        self._threshold = max(self._window * DECREASE, LEAST_WINDOW)
        self._window, self._reduced_at = LEAST_WINDOW, self._transmission
        self._round_trips.back_off()
        self._pump()


class Receiver:
    """The receiving end, with the record that `meters.stream` keeps of a connection.

    Args:
        octets: payload of a segment.
    """

    def __init__(self, clock: Clock, segments: Segments, send: Send, *, octets: int) -> None:
        self._clock, self._segments, self._send = clock, segments, send
        self._octets = octets
        self._missing = 0
        self._early: set[int] = set()
        self._last_s = clock.now
        self._marks: list[tuple[float, float]] = [(clock.now, 0)]
        self._gaps: list[tuple[float, float]] = []
        self._is_closed = False

    def begin(self) -> None:
        """Ask the other end to begin, until it does."""
        if not (self._missing or self._early or self._is_closed):
            self._send(self._segments.packet(0, 0))
            self._clock.after(OPENING_INTERVAL_S, self.begin)

    def take(self, packet: bytes) -> None:
        """Take a segment, and confirm it."""
        segment, transmission = numbers(packet)
        if segment == self._missing:
            self._missing += 1
            while self._missing in self._early:
                self._early.remove(self._missing)
                self._missing += 1
            self._took(self._clock.now)
        elif segment > self._missing:
            self._early.add(segment)
        self._send(self._segments.packet(self._missing, transmission))

    def close(self, port: int) -> FlowResult:
        """Return the record up to now; a silence that still goes on is part of it."""
        self._is_closed, now = True, self._clock.now
        self._note_gap(now)
        is_silent = now - self._last_s > MOST_SILENCE_S
        return FlowResult(
            port=port,
            octets=self._missing * self._octets,
            marks=(*self._marks, (now, self._missing * self._octets)),
            gaps=tuple(self._gaps),
            error="silent at the end" if is_silent else None,
        )

    def _took(self, now: float) -> None:
        self._note_gap(now)
        self._last_s = now
        if now >= self._marks[-1][0] + MARK_INTERVAL_S:
            self._marks.append((now, self._missing * self._octets))

    def _note_gap(self, now: float) -> None:
        if now - self._last_s >= GAP_FLOOR_S:
            self._gaps.append((self._last_s, now - self._last_s))
