"""Counts what happened, and logs it: events of engines, forwarders and the signalling."""

from collections import Counter
from ipaddress import IPv6Address

from mcoa.dataplane.counters import DropReason, Snapshot
from mcoa.engine.actions import Discovery, Received, Report
from mcoa.runtime.log import EventLog, Level
from mcoa.wire.messages import UnknownMessage
from mcoa.wire.option_list import MalformedOption
from mcoa.wire.options import MalformedBindingIdentifier
from mcoa.wire.registry import OptionType

_ORDINARY = frozenset(
    {
        "bindings-revoked",
        "home-agent-changed",
        "home-agent-switch",
        "home-agents-discovered",
        "home-link-found",
        "home-link-left",
        "home-prefixes-told",
    }
)


class Events:
    """The counters of a node; every line that a packet can trigger is rate-limited."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.counts: Counter[str] = Counter()

    def report(self, report: Report) -> None:
        """Take in what an engine reports."""
        self.counts[report.event] += 1
        self.log.remote(
            report.event,
            level=Level.INFO if report.event in _ORDINARY else Level.WARNING,
            home_address=report.home_address,
            detail=report.detail or None,
        )

    def drop(self, reason: DropReason, outer_source: bytes, inner_source: bytes) -> None:
        """Take in what a forwarder reports; it counts by itself and limits the rate too."""
        self.log.remote(
            "packet-dropped",
            reason=str(reason),
            outer_source=_address(outer_source),
            inner_source=_address(inner_source),
        )

    def no_message(self, reason: str, source: bytes) -> None:
        """Take in that a packet held no message."""
        self.counts["signalling-malformed"] += 1
        self.log.remote("signalling-malformed", source=_address(source), reason=reason)

    def malformed_options(self, received: Received) -> None:
        """Take in which options of a message had a length or number that they cannot have."""
        # Without a header it was of the usual form, which has none, or ICMPv6.
        if not received.header or isinstance(received.message, Discovery | UnknownMessage):
            return
        for option in received.message.options:
            if isinstance(option, MalformedOption | MalformedBindingIdentifier):
                self.counts["option-malformed"] += 1
                self.log.remote(
                    "option-malformed",
                    source=received.envelope.source,
                    home_address=received.envelope.home_address,
                    option=_label(option),
                    reason=option.reason,
                )

    def no_advertisement(self, reason: str, source: IPv6Address) -> None:
        """Take in that what looked like a router advertisement was none."""
        self.counts["advertisement-malformed"] += 1
        self.log.remote("advertisement-malformed", source=source, reason=reason)

    def counters(self, snapshot: Snapshot) -> dict[str, int]:
        """Return all counters by fixed names, those of the forwarder among them."""
        drops = {f"dropped: {reason}": count for reason, count in snapshot.drops.items()}
        fragments = {f"fragments: {what}": n for what, n in snapshot.fragments.items() if n}
        return {**self.counts, **drops, **fragments}


def _label(option: MalformedOption | MalformedBindingIdentifier) -> str:
    kind = option.type if isinstance(option, MalformedOption) else option.TYPE
    return OptionType(kind).label


def _address(octets: bytes) -> IPv6Address | None:
    return IPv6Address(octets) if len(octets) == 16 else None
