"""`mcoa doctor`: findings, advice, exit codes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mcoa.cli.doctor import doctor
from mcoa.runtime.config import parse
from mcoa.runtime.doctor import Diagnosis, Verdict, examine, worst
from mcoa.runtime.samples import sample


def found(text: str) -> dict[str, Diagnosis]:
    configuration = parse(text, file="x.toml", default_name="nobody-runs-this")
    return {each.what: each for each in examine(configuration)}


def test_a_mobile_node_without_its_interfaces_is_told_so() -> None:
    diagnoses = found(
        sample("mobile-node").replace("wwan0", "nowhere0").replace("wlan0", "no1")
    )
    lte = diagnoses["link lte (nowhere0)"]
    assert (lte.verdict, lte.finding) == (Verdict.DOUBTFUL, "missing")
    assert "ip link" in lte.advice
    assert diagnoses["links"].verdict is Verdict.FAILS
    assert "mcoa run" in diagnoses["daemon"].advice


def test_a_home_agent_looks_at_its_service_address() -> None:
    diagnoses = found(sample("home-agent").replace('"eth0"', '"nowhere0"'))
    assert diagnoses["home link nowhere0"].verdict is Verdict.FAILS
    assert diagnoses["service address 2001:db8:1::1"].verdict is Verdict.WORKS


def test_the_back_end_that_the_file_names_is_what_is_told() -> None:
    text = sample("correspondent")
    text = text.replace('# dataplane = "auto"', 'dataplane = "userspace"')
    assert found(text)["data plane"].finding.startswith("userspace, as the file says")


def test_without_the_library_the_advice_names_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent() -> None:
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr("mcoa.runtime.doctor.library", absent)
    diagnosis = found(sample("correspondent"))["data plane"]
    assert diagnosis.verdict is Verdict.DOUBTFUL
    assert "libbpf1" in diagnosis.advice
    text = sample("correspondent").replace('# dataplane = "auto"', 'dataplane = "ebpf"')
    assert found(text)["data plane"].verdict is Verdict.FAILS


def test_the_command_says_it_in_words_or_as_an_object(tmp_path: Path) -> None:
    file = tmp_path / "van.toml"
    file.write_text(sample("mobile-node").replace("wwan0", "nowhere0").replace("wlan0", "no1"))
    result = CliRunner().invoke(doctor, [str(file)], standalone_mode=False)
    assert "fails     links: none can be used now" in result.output
    assert result.return_value == 1
    result = CliRunner().invoke(doctor, [str(file), "--json"], standalone_mode=False)
    told = json.loads(result.output)
    assert told["schema"] == "mcoa.doctor/1"
    assert told["verdict"] == "fails"
    assert {each["verdict"] for each in told["diagnoses"]} <= {"works", "doubtful", "fails"}


def test_the_worst_counts() -> None:
    def diagnosis(verdict: Verdict) -> Diagnosis:
        return Diagnosis(what="x", verdict=verdict, finding="y")

    assert worst([]) is Verdict.WORKS
    assert worst([diagnosis(Verdict.WORKS), diagnosis(Verdict.DOUBTFUL)]) is Verdict.DOUBTFUL
    assert worst([diagnosis(each) for each in Verdict]) is Verdict.FAILS
