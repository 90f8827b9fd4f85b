"""What the signalling benchmark found, and how it is said."""

from dataclasses import dataclass

from mcoa.lab.bench.figures import Figures

SCHEMA = "mcoa.bench.signalling/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignallingResult:
    """All figures of one run.

    Attributes:
        codec_us: one update with three addresses in, and one acknowledgement out.
        authenticated_us: one update with proof at a correspondent, packet in, packet out.
        unauthenticated_us: the same update without proof at a home agent.
        transaction_us: one refresh of three bindings, from the device to the device.
        transaction_with_journal_us: the same, written to the disk before it is answered.
        echo_us: reading the same packet and writing the same answer, in Python.
        c_echo_us: in C; None without a compiler.
        large_transaction_us: one refresh with `large_bindings` in the agent.
        octets_per_binding: of resident memory, by difference.
        refresh_pause_ms: the longest turn of the agent's loop while all nodes refresh.
        tick_pause_ms: the longest work of one second's timers, when nodes come evenly.
        herd_pause_ms: the same when all of them had come within a few seconds, as after an
            outage.
        restore_s: how long the agent takes to load `large_bindings` after a restart.
    """

    codec_us: Figures
    scapy_us: Figures
    authenticated_us: Figures
    unauthenticated_us: Figures
    small_bindings: int
    large_bindings: int
    transaction_us: Figures
    transaction_with_journal_us: Figures
    echo_us: Figures
    c_echo_us: Figures | None
    large_transaction_us: Figures
    octets_per_binding: float
    refresh_pause_ms: float
    tick_pause_ms: float
    herd_pause_ms: float
    restore_s: float

    @property
    def codec_vs_scapy(self) -> float:
        """How many times as fast as scapy's our codec is."""
        return self.scapy_us.median / self.codec_us.median

    @property
    def authenticated_vs_plain(self) -> float:
        """Updates with proof for each update without."""
        return self.unauthenticated_us.median / self.authenticated_us.median

    @property
    def transactions_vs_echo(self) -> float:
        """Transactions for each packet that the echo in Python returns; the journal apart."""
        return self.echo_us.median / self.transaction_us.median

    @property
    def transactions_with_journal_vs_echo(self) -> float:
        """The same with the journal."""
        return self.echo_us.median / self.transaction_with_journal_us.median

    @property
    def transactions_vs_c_echo(self) -> float | None:
        """Transactions for each packet that the echo in C returns; the journal apart."""
        if self.c_echo_us is None:
            return None
        return self.c_echo_us.median / self.transaction_us.median

    @property
    def growth(self) -> float:
        """By what factor an update costs more with the large number of bindings."""
        return self.large_transaction_us.median / self.transaction_us.median

    @property
    def longest_pause_ms(self) -> float:
        """The longest time for which a packet had to wait while the agent did other things."""
        return max(self.refresh_pause_ms, self.tick_pause_ms, self.herd_pause_ms)

    def to_object(self) -> dict[str, object]:
        """Return what `--json` prints."""
        rounds = {
            name: figures.to_object() for name, figures in self._rounds().items() if figures
        }
        return {
            "schema": SCHEMA,
            "codec_vs_scapy": self.codec_vs_scapy,
            "authenticated_updates_per_s": 1e6 / self.authenticated_us.median,
            "authenticated_vs_plain": self.authenticated_vs_plain,
            "transactions_vs_echo": self.transactions_vs_echo,
            "transactions_per_s": 1e6 / self.transaction_us.median,
            "growth_1e3_1e6": self.growth,
            "octets_per_binding": self.octets_per_binding,
            "longest_pause_ms": self.longest_pause_ms,
            "refresh_pause_ms": self.refresh_pause_ms,
            "tick_pause_ms": self.tick_pause_ms,
            "herd_pause_ms": self.herd_pause_ms,
            "transactions_vs_c_echo": self.transactions_vs_c_echo,
            "transactions_with_journal_vs_echo": self.transactions_with_journal_vs_echo,
            "transactions_with_journal_per_s": 1e6 / self.transaction_with_journal_us.median,
            **{name: figures and figures.median for name, figures in self._rounds().items()},
            "small_bindings": self.small_bindings,
            "large_bindings": self.large_bindings,
            "restore_s": self.restore_s,
            "octets_measured_by": "difference of resident memory",
            "rounds": rounds,
        }

    def _rounds(self) -> dict[str, Figures | None]:
        return {
            "codec_us": self.codec_us,
            "scapy_us": self.scapy_us,
            "authenticated_us": self.authenticated_us,
            "unauthenticated_us": self.unauthenticated_us,
            "transaction_us": self.transaction_us,
            "transaction_with_journal_us": self.transaction_with_journal_us,
            "echo_us": self.echo_us,
            "c_echo_us": self.c_echo_us,
            "large_transaction_us": self.large_transaction_us,
        }
