"""`mcoa binding` against a socket that answers like a home agent."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.fake_daemon import FakeDaemon
from mcoa.cli import binding
from mcoa.cli.entry import run

HOME = "2001:db8:1::100"


class FakeAgent(FakeDaemon):
    """A home agent; `bound` is what is bound at one look after another."""

    def __init__(self, path: Path) -> None:
        self.bound: list[list[int]] = [[1, 2], [2]]
        self.error: str | None = None
        super().__init__(path, self._say)

    def _say(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.error is not None:
            return {"error": self.error, "hint": "do otherwise"}
        if request["command"] == "bindings":
            bids = self.bound.pop(0) if len(self.bound) > 1 else self.bound[0]
            return {"home_address": HOME, "bids": bids}
        return {"home_address": HOME, "bids": request.get("bids") or [1, 2]}


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAgent]:
    monkeypatch.delenv("MCOA_SOCKET", raising=False)
    monkeypatch.setattr("mcoa.cli.node_socket.DEFAULT_DIRECTORY", tmp_path)
    monkeypatch.setattr(binding, "_PATIENCE_S", {"revoke": 0.2, "switch": 0.2})
    fake = FakeAgent(tmp_path / "agent.sock")
    yield fake
    fake.stop()


Say = Callable[[], tuple[str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Say:
    return lambda: tuple(capsys.readouterr())  # type: ignore[return-value]


def test_chosen_bids_are_revoked_and_that_is_waited_for(agent: FakeAgent, said: Say) -> None:
    assert run(["binding", "revoke", HOME, "--bid", "1"]) == 0
    assert said()[0] == f"revoked: {HOME} BID 1\n"
    assert agent.requests[0] == {"command": "revoke", "home_address": HOME, "bids": [1]}
    assert len(agent.requests) == 3


def test_what_is_bound_still_is_an_error(agent: FakeAgent, said: Say) -> None:
    assert run(["binding", "revoke", HOME, "--json"]) == 1
    out, err = said()
    assert json.loads(out) == {"home_address": HOME, "bids": [1, 2], "revoked": False}
    assert "is bound still" in err
    assert agent.requests[0]["bids"] == []


def test_a_node_is_sent_elsewhere(agent: FakeAgent, said: Say) -> None:
    agent.bound = [[1, 2], []]
    to = ["--to", "2001:db8:1::2", "--to", "2001:db8:1::3"]
    assert run(["binding", "switch", HOME, *to, "--json"]) == 0
    assert json.loads(said()[0])["switched"] is True
    assert agent.requests[0]["home_agents"] == ["2001:db8:1::2", "2001:db8:1::3"]


def test_one_that_stays_is_told_of(agent: FakeAgent, said: Say) -> None:
    agent.bound = [[1]]
    assert run(["binding", "switch", HOME, "--node", "agent"]) == 1
    assert "has not left" in said()[1]


def test_what_the_agent_refuses_is_said_with_its_hint(agent: FakeAgent, said: Say) -> None:
    agent.error = "nothing is bound"
    assert run(["binding", "revoke", HOME]) == 1
    err = said()[1]
    assert "nothing is bound" in err
    assert "do otherwise" in err


@pytest.mark.usefixtures("agent")
def test_a_bid_that_cannot_be_is_refused() -> None:
    assert run(["binding", "revoke", HOME, "--bid", "0"]) == 2
