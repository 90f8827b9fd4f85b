"""`mcoa lab returning-home`: the home link alone, reached without losing a packet.

The mobile node has two visited links, and is plugged into its home link while both stay up. It
takes its home address back, de-registers everything, and uses nothing else (RFC 6275 §11.5.5,
RFC 5648 §5.5). Then it is unplugged again.
"""

import time
from collections.abc import Iterator

from mcoa.engine.policy import AtHome
from mcoa.lab.demo_events import Built, Found, StepBegan
from mcoa.lab.demo_result import Claim, JsonValue
from mcoa.lab.home_lan import NEIGHBOUR
from mcoa.lab.scenarios.acknowledged import first_acknowledgement
from mcoa.lab.scenarios.proof import Proof, Proven, ScenarioEvent
from mcoa.lab.scenarios.stage import HomeTopology, Stage, gap_ms, set_stage
from mcoa.lab.topology import CORRESPONDENT

NAME = "returning-home"
_ABROAD_S, _AT_HOME_S, _AGAIN_S = 2.0, 4.0, 4.0
# The agent looks for duplicates of the home address for a second before it answers, since it
# held no binding (RFC 6275 §10.3.1); there is none of that with home and visited links at once.
_LONGEST_GAP_MS = 1500.0


def returning_home(which: HomeTopology) -> Iterator[ScenarioEvent]:
    """Run the scenario; the last event is its proof. LabError if a daemon fails."""
    yield StepBegan(title=f"building figure 1 with home link ({which.value}) of figure 3")
    with set_stage(which) as stage:
        yield Built(namespaces=stage.network.namespaces.names())
        yield from _play(stage, which)


def _play(stage: Stage, which: HomeTopology) -> Iterator[ScenarioEvent]:
    yield StepBegan(title="starting the home agent and the mobile node, abroad")
    stage.nodes.start_agent()
    stage.nodes.start_node(at_home=AtHome.HOME)
    registered_s = stage.until_registered(*stage.foreign_links)
    yield Found(sentence=f"{', '.join(stage.foreign_links)} registered in {registered_s:.1f} s")
    whole_s = _ABROAD_S + _AT_HOME_S + _AGAIN_S + 2.0
    far = stage.echo(CORRESPONDENT, identifier=71, duration_s=whole_s)
    near = stage.echo(NEIGHBOUR, identifier=72, duration_s=whole_s)
    down = stage.transfers(first_port=21_000, flows=4, duration_s=whole_s, upward=False)
    up = stage.transfers(first_port=21_100, flows=4, duration_s=whole_s, upward=True)
    time.sleep(_ABROAD_S)
    was_proxied = stage.has_proxy()

    yield StepBegan(title="plugging it into its home link, with the visited links up")
    home_s = stage.network.attach_home(attached=True)
    plugged_s = time.time() - (time.monotonic() - home_s)
    returned_s = stage.until_registered()
    time.sleep(_AT_HOME_S - returned_s)
    acknowledgement = first_acknowledgement(stage.home_link.seen(plugged_s))
    announced = [
        message
        for message in stage.neighbour_messages(plugged_s)
        if message.is_announcement_of(stage.home_address)
    ]
    at_home = {
        "proxied": stage.has_proxy(),
        "held": stage.has_home_address(),
        "bindings": len(stage.held()),
        "neighbour": stage.mac_known_to(NEIGHBOUR, "eth0"),
    }
    yield Found(sentence=f"nothing is registered {returned_s:.2f} s after the carrier")

    yield StepBegan(title="unplugging it again")
    left_s = stage.network.attach_home(attached=False)
    stage.until_registered(*stage.foreign_links)
    is_proxied_again = stage.has_proxy()
    results = far.result(), near.result()
    streams = down.result(), up.result()
    lost = [each.lost_between(home_s - 0.5, left_s - 0.1) for each in results]
    gaps_ms = [gap_ms(each, left_s) for each in results]
    yield Found(sentence=f"echo silent for {gaps_ms[0]:.0f} ms when it was unplugged")
    early = [
        each for each in announced if acknowledgement is None or each.time_s < acknowledgement
    ]
    mac = stage.node_mac.hex(":")
    claims = (
        Claim(
            sentence="abroad, the agent answers neighbours for the home address",
            holds=was_proxied,
        ),
        Claim(
            sentence="at home nothing is registered, and the agent answers for it no more",
            holds=at_home["bindings"] == 0 and not at_home["proxied"],
        ),
        Claim(sentence="the node has its home address back", holds=at_home["held"] is True),
        Claim(
            sentence="it announces the address after the acknowledgement, and not before",
            holds=bool(announced) and not early,
        ),
        Claim(
            sentence="its neighbour sends to it directly",
            holds=at_home["neighbour"] == mac,
        ),
        Claim(
            sentence="no packet was lost on the way home, from afar or from the neighbour",
            holds=lost == [0, 0],
        ),
        Claim(
            sentence="unplugged, it goes on over visited links once the agent has made sure that"
            " nobody else has the address: a second",
            holds=is_proxied_again and max(gaps_ms) <= _LONGEST_GAP_MS,
        ),
        Claim(
            sentence="every TCP connection lived through both moves",
            holds=all(each.survived for each in streams),
        ),
    )
    figures: dict[str, JsonValue] = {
        "topology": which.value,
        "returned_ms": round(returned_s * 1000, 1),
        "lost_on_return": {"correspondent": lost[0], "neighbour": lost[1]},
        "gap_on_leaving_ms": {
            "correspondent": round(gaps_ms[0], 1),
            "neighbour": round(gaps_ms[1], 1),
        },
        "announcements": len(announced),
    }
    yield Proven(proof=Proof(scenario=NAME, claims=claims, figures=figures))
