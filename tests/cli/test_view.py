"""What `mcoa show` draws, to the letter."""

from copy import deepcopy
from typing import Any

import click
import pytest

from mcoa.cli.view import render

NODE: dict[str, Any] = {
    "schema": "mcoa.status/1",
    "version": "0.1",
    "role": "mobile-node",
    "name": "van",
    "security": "none",
    "pid": 4711,
    "uptime_s": 252.4,
    "device": {"name": "mip0", "mtu": 1500},
    "data_plane": "userspace",
    "home_addresses": ["2001:db8:1::100"],
    "peers": [
        {
            "address": "2001:db8:1::1",
            "role": "home-agent",
            "state": "registered",
            "multiple_care_of": True,
            "sequence": 7,
            "last_heard_s": 12.0,
        }
    ],
    "bindings": [
        {
            "home_address": "2001:db8:1::100",
            "bid": 1,
            "link": "lte",
            "care_of_address": "2001:db8:a::100",
            "state": "registered",
            "remaining_lifetime_s": 252.9,
            "last_status": 0,
            "last_status_phrase": "accepted (0)",
        },
        {
            "home_address": "2001:db8:1::100",
            "bid": 20,
            "link": "satellite",
            "care_of_address": "2001:db8:c::5c5c:1",
            "state": "rejected",
            "remaining_lifetime_s": None,
            "last_status": 167,
            "last_status_phrase": "unknown care-of address (167)",
        },
        {
            "home_address": "2001:db8:1::100",
            "bid": 3,
            "link": "wifi",
            "care_of_address": None,
            "state": "waiting",
            "remaining_lifetime_s": None,
            "last_status": None,
            "last_status_phrase": None,
        },
    ],
    "bindings_total": 3,
    "links": [
        {
            "name": "lte",
            "interface": "wwan0",
            "state": "up",
            "weight": 40.0,
            "mtu": None,
            "flows": 5,
            "sent_octets": 1572864,
            "received_octets": 812,
            "round_trip_s": 0.042,
        },
        {
            "name": "satellite",
            "interface": "sat0",
            "state": "no carrier",
            "weight": 7.5,
            "mtu": None,
            "flows": 0,
            "sent_octets": 0,
            "received_octets": 0,
            "round_trip_s": None,
        },
    ],
    "flows": {"total": 5, "moved": 2, "by_path": {"lte": 5}},
    "counters": {"updates_sent": 4, "packets_dropped": 0, "acknowledgements_received": 3},
    "warnings": [
        "security is none: signalling is not protected, use it in tests alone",
        "the link satellite has had no carrier for 5m",
    ],
}
NODE_SHOWN = """\
mobile node van, up 4m 12s, device mip0, userspace data plane
SECURITY: NONE. Signalling is not protected; use this in tests alone.
warning: the link satellite has had no carrier for 5m

home address  2001:db8:1::100
home agent    2001:db8:1::1, registered, takes several care-of addresses, heard 12s ago

BID  LINK       CARE-OF ADDRESS     STATE       EXPIRES IN  LAST STATUS
  1  lte        2001:db8:a::100     registered  4m 12s      accepted (0)
 20  satellite  2001:db8:c::5c5c:1  rejected                unknown care-of address (167)
  3  wifi                           waiting

LINK       INTERFACE  STATE       WEIGHT  FLOWS  SENT     RECEIVED  ROUND TRIP
lte        wwan0      up              40      5  1.5 MiB  812 B     42ms
satellite  sat0       no carrier     7.5      0  0 B      0 B

flows  5 (5 lte), 2 moved
updates sent               4
acknowledgements received  3"""

AGENT: dict[str, Any] = {
    "schema": "mcoa.status/1",
    "role": "home-agent",
    "name": "agent",
    "security": "none",
    "uptime_s": 3,
    "device": {"name": "mip0", "mtu": None},
    "data_plane": "userspace",
    "home_addresses": ["2001:db8:1::/64"],
    "peers": [],
    "bindings": [
        {
            "home_address": "2001:db8:1::100",
            "bid": None,
            "link": None,
            "care_of_address": "2001:db8:a::100",
            "state": "registered",
            "remaining_lifetime_s": 3600,
            "last_status": None,
            "last_status_phrase": None,
        }
    ],
    "bindings_total": 5,
    "links": [],
    "flows": {"total": 0, "moved": 0, "by_path": {}},
    "counters": {},
    "warnings": [],
}
AGENT_SHOWN = """\
home agent agent, up 3s, device mip0, userspace data plane
SECURITY: NONE. Signalling is not protected; use this in tests alone.

serves  2001:db8:1::/64

HOME ADDRESS     CARE-OF ADDRESS  STATE       EXPIRES IN
2001:db8:1::100  2001:db8:a::100  registered  1h
... and 4 more"""


@pytest.mark.parametrize(("status", "shown"), [(NODE, NODE_SHOWN), (AGENT, AGENT_SHOWN)])
def test_a_status_is_drawn_to_the_letter(status: dict[str, Any], shown: str) -> None:
    assert click.unstyle(render(status)) == shown


def test_missing_protection_is_loud() -> None:
    assert click.style(NODE_SHOWN.splitlines()[1], fg="red", bold=True) in render(NODE)
    protected = NODE | {"security": "esp", "warnings": []}
    assert "SECURITY" not in render(protected)
    assert "security: esp" in render(protected)


def test_colours_do_not_shift_the_columns() -> None:
    drawn = render(NODE)
    assert drawn != click.unstyle(drawn)
    assert click.style("registered", fg="green") in drawn


def test_a_node_without_bindings_says_so() -> None:
    assert "no bindings" in render(NODE | {"bindings": []})


@pytest.mark.parametrize("missing", [*NODE])
def test_a_status_that_lacks_a_key_is_drawn_without_it(missing: str) -> None:
    status = deepcopy(NODE)
    del status[missing]
    assert render(status)


def test_an_entry_that_lacks_all_keys_is_drawn() -> None:
    assert render({"bindings": [{}], "links": [{}], "peers": [{}], "device": None})


def test_a_correspondent_shows_the_links_that_lead_to_it_directly() -> None:
    bindings = [
        {"link": "lte", "state": "registered"},
        {"link": "wifi", "state": "registering"},
        {"link": "sat", "state": "registered"},
    ]
    peer = {
        "address": "2001:db8:2::10",
        "role": "correspondent",
        "state": "direct",
        "bindings": bindings,
    }
    assert "2001:db8:2::10, direct over lte, sat" in render({"peers": [peer]})
