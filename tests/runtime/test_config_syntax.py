"""Files that are not TOML: the place, and the mistakes that people make."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcoa.runtime.config import ConfigurationError, parse
from mcoa.runtime.problems import Problem


def problem_of(text: str) -> Problem:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, file="van.toml", default_name="van")
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    "line", ["lifetime = 5m", "home_link = eth0", "address = 2001:db8::1", "path = /run"]
)
def test_text_without_quotes_is_told_so(line: str) -> None:
    problem = problem_of(f'role = "mobile-node"\n{line}\nbulk = true\n')
    assert problem.line == 2
    assert problem.source == line
    assert "quotes" in problem.hint


@pytest.mark.parametrize("line", ["device = 'a'", "[home-agent]"])
def test_what_stands_twice_is_told_so(line: str) -> None:
    problem = problem_of(f"{line}\n{line}\n")
    assert problem.line == 2
    assert "once only" in problem.hint


@pytest.mark.parametrize("text", ["[home-agent", "a = [1,\n", 'a = """x\n\n'])
def test_a_file_that_ends_too_early_points_at_its_end(text: str) -> None:
    problem = problem_of(text)
    assert problem.message.startswith("not TOML")
    assert problem.line is not None
    assert problem.line >= text.count("\n")


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    problem = problem_of("a = \x1b[2J\n")
    assert "\x1b" not in str(problem)


@example(text="\r\r\n")  # TOML's new lines have one carriage return at most
@given(text=st.text("abc=[]{}\",'.#\n\r\t 015:-\x1b", max_size=60))
def test_any_text_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, file="van.toml", default_name="van")
    for problem in caught.value.problems:
        assert problem.line is not None
        assert 1 <= problem.line <= text.count("\n") + text.count("\r") + 1
        assert problem.message


@given(octets=st.text(max_size=60))
def test_any_unicode_is_a_configuration_error(octets: str) -> None:
    with pytest.raises(ConfigurationError):
        parse(octets, file="van.toml", default_name="van")


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "[" * 5000 + "]" * 5000])
def test_a_file_of_very_many_brackets_is_told_so(text: str) -> None:
    assert "nested too deeply" in problem_of(text).message
