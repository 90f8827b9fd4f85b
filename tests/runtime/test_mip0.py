"""How large the packets are that a TUN device passes."""

import pytest

from mcoa.runtime.mip0 import device_mtu


@pytest.mark.parametrize(
    ("uplinks", "mtu"),
    [((), 1500), ((1280, 1400), 1500), ((1500, 9000), 9000), ((100_000,), 65535)],
)
def test_the_device_passes_what_its_largest_uplink_brings(
    uplinks: tuple[int, ...], mtu: int
) -> None:
    assert device_mtu(uplinks) == mtu
