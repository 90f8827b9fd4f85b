"""The status object: the schema that others rely on."""

import json
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from itertools import count
from math import inf

import pytest

from mcoa import __version__
from mcoa.runtime.status import (
    MOST_BINDINGS,
    UNPROTECTED,
    BindingLine,
    DeviceStatus,
    FlowsStatus,
    LinkStatus,
    PeerStatus,
    Status,
)

HOME = IPv6Address("2001:db8:1::100")


def status(**changes: object) -> Status:
    values: dict[str, object] = {
        "role": "mobile-node",
        "name": "van",
        "security": "none",
        "pid": 7,
        "uptime_s": 12.34567,
        "device": DeviceStatus(name="mip0"),
        "data_plane": "userspace",
    }
    return Status(**(values | changes))  # type: ignore[arg-type]


def test_every_key_of_the_schema_is_there_even_when_nothing_is_known() -> None:
    assert status().as_object() == {
        "schema": "mcoa.status/1",
        "version": __version__,
        "role": "mobile-node",
        "name": "van",
        "security": "none",
        "pid": 7,
        "uptime_s": 12.346,
        "device": {"name": "mip0", "mtu": None},
        "data_plane": "userspace",
        "home_addresses": [],
        "peers": [],
        "bindings": [],
        "bindings_total": 0,
        "links": [],
        "flows": {"total": 0, "moved": 0, "by_path": {}},
        "rules": [],
        "counters": {},
        "warnings": [UNPROTECTED],
    }


def test_values_become_what_json_has() -> None:
    whole = status(
        security="esp",
        home_addresses=(HOME, IPv6Network("2001:db8:1::/64")),
        peers=(PeerStatus(address=IPv6Address("2001:db8:1::1"), role="home-agent"),),
        bindings=[
            BindingLine(
                home_address=HOME,
                bid=1,
                care_of_address=IPv4Address("192.0.2.1"),
                state="registered",
                link="lte",
                remaining_lifetime_s=inf,
                last_status=0,
                last_status_phrase="accepted (0)",
            )
        ],
        links=(LinkStatus(name="lte", interface="wwan0", state="up", addresses=(HOME,)),),
        flows=FlowsStatus(total=3, moved=1, by_path={"lte": 3}),
        counters={"updates_sent": 4},
        warnings=("a",),
    ).as_object()
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole
    assert whole["warnings"] == ["a"]
    assert whole["home_addresses"] == ["2001:db8:1::100", "2001:db8:1::/64"]
    assert whole["links"][0]["addresses"] == ["2001:db8:1::100"]
    assert whole["bindings"] == [
        {
            "home_address": "2001:db8:1::100",
            "bid": 1,
            "care_of_address": "192.0.2.1",
            "state": "registered",
            "link": "lte",
            "remaining_lifetime_s": None,
            "last_status": 0,
            "last_status_phrase": "accepted (0)",
            "priority": None,
            "home": False,
            "correspondent": None,
            "port": None,
            "nat": False,
        }
    ]


def test_a_million_bindings_are_counted_not_listed() -> None:
    line = BindingLine(home_address=HOME, bid=1, care_of_address=None, state="registered")
    endless = (line for _ in count())
    whole = status(bindings=endless, bindings_total=1_000_000).as_object()
    assert len(whole["bindings"]) == MOST_BINDINGS
    assert whole["bindings_total"] == 1_000_000


def test_a_value_that_json_lacks_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no place"):
        status(counters={"a": object()}).as_object()
