"""What is known of links over a restart: which of their addresses the present network confirmed.

The kernel keeps addresses and routes of networks that a link has left, and does not say when the
carrier came. Only how often it came: a carrier that came while nobody watched makes all doubtful
that nobody has renewed since.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """One device as it was when it last changed; addresses and gateways as text.

    Attributes:
        index: the device's number.
        carrier_ups: how often it has got its carrier.
        refreshed: of each address, when its lifetimes were set; hundredths of a second since
            boot.
        unconfirmed: those addresses that no router had confirmed.
        gateways: of its default routes.
        older_gateways: those of them from before the carrier came.
    """

    index: int
    carrier_ups: int
    refreshed: dict[str, int]
    unconfirmed: list[str]
    gateways: list[str]
    older_gateways: list[str]


_FILE = TypeAdapter(dict[str, Remembered])


class LinkMemory:
    """A file with one Remembered a device; losing it costs a doubt, and no more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: dict[str, Remembered] | None = None

    def load(self) -> dict[str, Remembered]:
        """Return what there is by the name of the device; nothing of what cannot be read."""
        try:
            return _FILE.validate_json(self._path.read_bytes())
        except (OSError, ValueError):
            return {}

    def save(self, devices: Mapping[str, Remembered]) -> None:
        """Write it, if it is another than before."""
        if self._written == devices:
            return
        self._written = dict(devices)
        text = json.dumps({name: asdict(each) for name, each in devices.items()})
        beside = self._path.with_suffix(".new")
        with suppress(OSError):  # it says less after a restart, then
            beside.write_text(text, "utf-8")
            beside.replace(self._path)
