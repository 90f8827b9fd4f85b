"""What the forwarding benchmark found, and how it is said."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from mcoa.lab.bench.figures import Figures
from mcoa.lab.bench.scale import ScaleResult

SCHEMA = "mcoa.bench.dataplane/1"

PLAIN: Final = "plain forwarding"
KERNEL_TUNNEL: Final = "kernel tunnel"
EBPF: Final = "ebpf"
USER_SPACE: Final = "userspace"
EBPF_UDP: Final = "ebpf in UDP"
USER_SPACE_UDP: Final = "userspace in UDP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What one contender reached.

    Attributes:
        up_gbit_s: goodput of one TCP connection from the host with the uplink.
        down_gbit_s: towards it.
        packets_per_s: datagrams of 64 octets that arrived, from the host with the uplink.
    """

    up_gbit_s: Figures
    down_gbit_s: Figures
    packets_per_s: Figures

    @property
    def tcp_gbit_s(self) -> float:
        """The median of the slower direction."""
        return min(self.up_gbit_s.median, self.down_gbit_s.median)


Figure = Callable[[Rates], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One contender over another, and how much is wanted."""

    name: str
    value: float | None
    wanted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DataplaneResult:
    """All figures of one run.

    Attributes:
        rates: by contender.
        absent: why others did not take part.
        scale: what many bindings took.
    """

    rates: Mapping[str, Rates]
    absent: Mapping[str, str]
    scale: ScaleResult

    def ratios(self) -> tuple[Ratio, ...]:
        """Return what it is all about; the value is None where one was absent."""
        return (
            self._ratio("ebpf_tcp_vs_plain", _tcp, EBPF, PLAIN, 0.9),
            self._ratio("ebpf_tcp_vs_kernel", _tcp, EBPF, KERNEL_TUNNEL, 0.9),
            self._ratio("ebpf_packets_vs_plain", _packets, EBPF, PLAIN, 0.7),
            self._ratio("ebpf_udp_tcp_vs_plain", _tcp, EBPF_UDP, PLAIN, 0.9),
            self._ratio("ebpf_udp_packets_vs_plain", _packets, EBPF_UDP, PLAIN, 0.0),
            self._ratio("userspace_udp_tcp_vs_plain", _tcp, USER_SPACE_UDP, PLAIN, 0.15),
            self._ratio("userspace_tcp_vs_plain", _tcp, USER_SPACE, PLAIN, 0.15),
            self._ratio("userspace_packets_vs_plain", _packets, USER_SPACE, PLAIN, 0.0),
        )

    def to_object(self) -> dict[str, object]:
        """Return what `--json` prints."""
        return {
            "schema": SCHEMA,
            **{ratio.name: ratio.value for ratio in self.ratios()},
            "contenders": {
                name: {
                    "up_gbit_s": rates.up_gbit_s.to_object(),
                    "down_gbit_s": rates.down_gbit_s.to_object(),
                    "packets_per_s": rates.packets_per_s.to_object(),
                }
                for name, rates in self.rates.items()
            },
            "absent": dict(self.absent),
            "scale": {**asdict(self.scale), "install_s": self.scale.install_s},
        }

    def _ratio(self, name: str, figure: Figure, one: str, other: str, wanted: float) -> Ratio:
        if one not in self.rates or other not in self.rates:
            return Ratio(name=name, value=None, wanted=wanted)
        value = figure(self.rates[one]) / figure(self.rates[other])
        return Ratio(name=name, value=value, wanted=wanted)


def _tcp(rates: Rates) -> float:
    return rates.tcp_gbit_s


def _packets(rates: Rates) -> float:
    return rates.packets_per_s.median
