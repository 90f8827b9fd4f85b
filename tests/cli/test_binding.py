"""`mcoa binding` against a socket that answers like a home agent."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcoa.cli import binding
from mcoa.cli.entry import run

HOME = "2001:db8:1::100"


class FakeAgent:
    """Answers as it is told, and keeps the requests; `bound` is what is left after a while."""

    def __init__(self, path: Path) -> None:
        self.requests: list[dict[str, Any]] = []
        self.bound: list[list[int]] = [[1, 2], [2]]
        self.error: str | None = None
        self._path = path
        self._is_stopping = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._is_stopping:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as lines:
                if line := lines.readline():
                    answer = self._answer(json.loads(line))
                    connection.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        if self.error is not None:
            return {"error": self.error, "hint": "do otherwise"}
        if request["command"] == "bindings":
            bids = self.bound.pop(0) if len(self.bound) > 1 else self.bound[0]
            return {"home_address": HOME, "bids": bids}
        return {"home_address": HOME, "bids": request.get("bids") or [1, 2]}

    def stop(self) -> None:
        self._is_stopping = True
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self._path))
        self._thread.join()
        self._listener.close()


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
