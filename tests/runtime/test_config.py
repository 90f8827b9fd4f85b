"""Configuration files: what is right is read, and all that is wrong is told at once."""

import os
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import pytest
from pydantic import ValidationError

from mcoa.runtime.config import (
    Configuration,
    ConfigurationError,
    HomeAgentConfiguration,
    MobileNodeConfiguration,
    load,
    parse,
)
from mcoa.runtime.errors import ExitCode, NoPermissionError
from mcoa.runtime.problems import Problem

AGENT = """\
role = "home-agent"
security = "none"
[home-agent]
address = "2001:db8:1::1"
home_link = "eth0"
home_prefixes = ["2001:db8:1::/64"]
"""
NODE = """\
role = "mobile-node"
security = "none"
[mobile-node]
home_address = "2001:db8:1::100"
home_agent = "2001:db8:1::1"
[[link]]
name = "lte"
interface = "wwan0"
bid = 1
[[link]]
name = "wifi"
interface = "wlan0"
bid = 2
"""


def read(text: str) -> Configuration:
    return parse(text, file="van.toml", default_name="van")


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    return caught.value.problems


def only_problem_of(text: str) -> Problem:
    (problem,) = problems_of(text)
    return problem


def marked(problem: Problem) -> str:
    """Return the text above the caret."""
    begin = problem.column - 1
    return problem.source[begin : begin + problem.width]


def test_a_home_agent_needs_four_values_and_has_defaults_for_the_rest() -> None:
    configuration = read(AGENT)
    assert isinstance(configuration, HomeAgentConfiguration)
    agent = configuration.home_agent
    assert agent.address == IPv6Address("2001:db8:1::1")
    assert agent.home_prefixes == (IPv6Network("2001:db8:1::/64"),)
    assert agent.max_lifetime_s == 600
    assert agent.max_bindings_per_node == 8
    assert agent.mobile_nodes is None
    assert (agent.multiple_care_of, agent.bulk) == (True, True)
    assert agent.duplicate_address_detection
    assert configuration.name == "van"
    assert configuration.device == "mip0"
    assert configuration.control_socket == Path("/run/mcoa/van.sock")
    assert configuration.undo_journal == Path("/run/mcoa/van.undo")
    assert configuration.store_directory == Path("/var/lib/mcoa/van")


def test_a_mobile_node_has_its_links_in_the_order_of_the_file() -> None:
    configuration = read(NODE.replace("bid = 2", 'weight = "300 kbit/s"\nmtu = 1400'))
    assert isinstance(configuration, MobileNodeConfiguration)
    lte, wifi = configuration.links
    assert (lte.name, lte.interface, lte.bid, lte.weight, lte.mtu) == (
        "lte",
        "wwan0",
        1,
        10,
        None,
    )
    assert (wifi.bid, wifi.weight, wifi.mtu) == (None, 0.3, 1400)
    assert configuration.mobile_node.lifetime_s == 300


def test_a_lifetime_is_rounded_down_to_what_the_protocol_can_say() -> None:
    text = NODE.replace("[[link]]", 'lifetime = "90s"\n[[link]]', 1)
    configuration = read(text)
    assert isinstance(configuration, MobileNodeConfiguration)
    assert configuration.mobile_node.lifetime_s == 88


def test_a_configuration_cannot_be_changed() -> None:
    configuration = read(NODE)
    with pytest.raises(ValidationError):
        configuration.name = "other"


def test_without_a_word_on_security_mcoa_refuses_and_says_what_to_write() -> None:
    problem = only_problem_of(AGENT.replace('security = "none"\n', ""))
    assert problem.message.startswith("security is missing")
    assert 'security = "none"' in problem.hint
    assert "without protection" in problem.hint


@pytest.mark.parametrize("value", ['"ipsec"', '"None"', '""', "false", "[]"])
def test_protection_that_does_not_exist_yet_is_refused_not_ignored(value: str) -> None:
    problem = only_problem_of(AGENT.replace('"none"', value))
    assert "protection is not available in this version" in problem.message
    assert marked(problem) == value
    assert '"none"' in problem.hint


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
role = "mobile-node"
secruity = "none"
[mobile-node]
home_address = "2001:db8:1::100"
home_agent = "2001:db8:1::100"
lifetime = "5"
[[link]]
name = "lte"
interface = "mip0"
bid = 0
[[link]]
name = "lte"
"""
    told = [(problem.line, problem.message) for problem in problems_of(text)]
    assert told == [
        (1, "security is missing, and mcoa does not run unprotected unasked"),
        (2, 'unknown key "secruity"'),
        (5, "home_agent: 2001:db8:1::100 is also the home address of this node"),
        (6, 'lifetime: "5" has no unit'),
        (9, "interface: mip0 is the device that mcoa makes itself"),
        (10, "bid: 0 is out of range"),
        (11, "interface is missing in [[link]] number 2"),
        (12, 'name: "lte" is taken by link "lte"'),
    ]


def test_a_problem_is_shown_with_its_line_a_caret_and_a_hint() -> None:
    problem = only_problem_of(AGENT + '\tmax_lifetime = "5"  # five what?\n')
    assert str(problem).splitlines() == [
        'van.toml:7:17: max_lifetime: "5" has no unit',
        '  7 | \tmax_lifetime = "5"  # five what?',
        "    | \t               ^^^",
        '    hint: write a number with its unit (ms, s, m, h, d), such as "5m", "90s" or "1h 30m"',
    ]


def test_the_report_ends_with_the_number_of_problems() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read("role = 1")
    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.report().endswith("mcoa: 2 problems; nothing was changed")


BAD_VALUES = [
    # key of the home agent, value, what is said, what is hinted
    ("address", '"2001:db8:1::1/64"', "not an IPv6 address", "without prefix length"),
    ("address", '"192.0.2.1"', "IPv4 address", "2001:db8"),
    ("address", '"home"', "not an IPv6 address", "2001:db8"),
    ("address", "1", "not text in quotes", "2001:db8"),
    ("address", '"fe80::1"', "cannot be reached over a network", "global"),
    ("address", '"fe80::1%eth0"', "not an IPv6 address", "zone"),
    ("address", '"ff02::1"', "cannot be reached over a network", "unicast"),
    ("address", '"::ffff:192.0.2.1"', "cannot be reached over a network", "unicast"),
    ("address", '"::"', "cannot be reached over a network", "unicast"),
    ("ipv4_address", '"2001:db8:1::1"', "not an IPv4 address", "192.0.2.1"),
    ("ipv4_address", '"192.0.2.1/24"', "not an IPv4 address", "192.0.2.1"),
    ("ipv4_address", '"127.0.0.1"', "cannot be reached over a network", "unicast"),
    ("ipv4_address", "1", "not text in quotes", "192.0.2.1"),
    ("home_link", '"an interface"', "no interface name", "wwan0"),
    ("home_link", '"a_name_of_16_chr"', "1 to 15 octets", "wwan0"),
    ("home_link", '""', "1 to 15 octets", "wwan0"),
    ("home_link", '"../../etc"', "no interface name", "wwan0"),
    ("home_link", '"mip0"', "the device that mcoa makes", "`device`"),
    ("home_prefixes", '"2001:db8:1::/64"', "not a list", '["2001:db8:1::/64"]'),
    ("home_prefixes", "[]", "the list is empty", '["2001:db8:1::/64"]'),
    ("home_prefixes", '["2001:db8:1::1/64"]', "bits set behind", '"2001:db8:1::/64"'),
    ("home_prefixes", '["2001:db8:1::"]', "no prefix length", "/64"),
    ("home_prefixes", '["2001:db8:1::/129"]', "not an IPv6 prefix", "/64"),
    ("home_prefixes", '["::/0"]', "not a prefix of unicast", "/64"),
    ("home_prefixes", '["ff00::/8"]', "not a prefix of unicast", "/64"),
    ("home_prefixes", '["2001:db8:1::/64", "2001:db8:1::/64"]', "overlaps", "drop one"),
    ("multiple_care_of", '"yes"', "neither true nor false", "without quotes"),
    ("bulk", "1", "neither true nor false", "without quotes"),
    ("duplicate_address_detection", "[]", "a list is neither", "without quotes"),
    ("max_bindings_per_node", "0", "out of range", "from 1 to 100"),
    ("max_bindings_per_node", "101", "out of range", "from 1 to 100"),
    ("max_bindings_per_node", "1.5", "not a whole number", "from 1 to 100"),
    ("max_bindings_per_node", "true", "not a whole number", "from 1 to 100"),
    ("max_lifetime", "600", "not text in quotes", '"5m"'),
    ("max_lifetime", '"5 parsecs"', "not a unit of time", '"5m"'),
    ("max_lifetime", '"3s"', "out of range", "4s to 3d"),
    ("max_lifetime", '"4d"', "out of range", "4s to 3d"),
    ("mobile_nodes", '["2001:db8:2::100"]', "outside the home prefix", "2001:db8:1::/64"),
    ("mobile_nodes", '["2001:db8:1::1"]', "address of the home agent itself", "another"),
    ("mobile_nodes", '["2001:db8:1::"]', "anycast", "another"),
    ("mobile_nodes", '["2001:db8:1::5", "2001:db8:1:0::5"]', "given twice", "drop"),
    ("mobile_nodes", "[{a = 1}]", "a table is not text", "2001:db8"),
]


@pytest.mark.parametrize(("key", "value", "message", "hint"), BAD_VALUES)
def test_a_bad_value_of_the_home_agent_is_marked_and_explained(
    key: str, value: str, message: str, hint: str
) -> None:
    lines = [line for line in AGENT.splitlines() if not line.startswith(f"{key} ")]
    problem = only_problem_of("\n".join([*lines, f"{key} = {value}"]) + "\n")
    assert problem.source == f"{key} = {value}"
    assert problem.message.startswith(f"{key}: ") or "anycast" in problem.message
    assert message in problem.message
    assert hint in problem.hint
    assert marked(problem) in value
    assert problem.column > len(key)


def test_a_device_leaves_room_for_the_names_beside_it() -> None:
    text = 'device = "a_name_of_13_"\n' + AGENT
    problem = only_problem_of(text)
    assert "too long: 1 to 12 octets" in problem.message
    assert read('device = "a_name_of_12"\n' + AGENT).device == "a_name_of_12"


BAD_LINKS = [
    ("name", '""', "cannot be a name", "letters"),
    ("name", '"a b"', "cannot be a name", "letters"),
    ("bid", "0", "out of range", "1 to 65535"),
    ("bid", "65536", "out of range", "1 to 65535"),
    ("bid", '"1"', "not a whole number", "1 to 65535"),
    ("bid", "1", 'is taken by link "lte"', "its own BID"),
    ("name", '"lte"', 'is taken by link "lte"', "its own name"),
    ("interface", '"wwan0"', 'is taken by link "lte"', "its own interface"),
    ("interface", '"mip0"', "the device that mcoa makes", "`device`"),
    ("mtu", "1279", "out of range", "1280 to 65535"),
    ("mtu", '"1500"', "not a whole number", "1280 to 65535"),
    ("weight", "0", "out of range", "above 0"),
    ("weight", "inf", "out of range", "above 0"),
    ("weight", "nan", "out of range", "above 0"),
    ("weight", "true", "not a rate", "megabits"),
    ("weight", '"fast"', "not a rate", "kbit/s"),
    ("weight", "[]", "not text", "kbit/s"),
    ("family", '"ipv5"', "none of the choices", '"auto", "ipv6", "ipv4" or "both"'),
    ("family", "4", "not text", '"auto", "ipv6", "ipv4" or "both"'),
    ("family", '"ipv4"', "nothing goes over IPv4", "home_agent_ipv4"),
    ("family", '"both"', "nothing goes over IPv4", "home_agent_ipv4"),
]


def test_an_ipv4_address_belongs_to_a_known_agent() -> None:
    text = NODE.replace('home_agent = "2001:db8:1::1"', 'home_agent_ipv4 = "192.0.2.1"')
    problem = only_problem_of(text)
    assert problem.message.startswith("home_agent_ipv4: ")
    assert "home_agent" in problem.hint
    whole = NODE.replace("[[link]]", 'home_agent_ipv4 = "192.0.2.1"\n[[link]]', 1)
    configuration = read(whole + 'family = "ipv4"\n')
    assert isinstance(configuration, MobileNodeConfiguration)
    assert [link.family for link in configuration.links] == ["auto", "ipv4"]


@pytest.mark.parametrize(("key", "value", "message", "hint"), BAD_LINKS)
def test_a_bad_value_of_a_link_is_marked_and_explained(
    key: str, value: str, message: str, hint: str
) -> None:
    head, _, second = NODE.rpartition("[[link]]\n")
    lines = [line for line in second.splitlines() if not line.startswith(key)]
    problem = only_problem_of(f"{head}[[link]]\n" + "\n".join([*lines, f"{key} = {value}"]))
    assert problem.source == f"{key} = {value}"
    assert message in problem.message
    assert hint in problem.hint
    assert marked(problem) == value


@pytest.mark.parametrize(
    ("old", "new", "mark", "hint"),
    [
        ("home_link", "homelink", "homelink", 'did you mean "home_link"?'),
        ("home_link", "Home-Link", "Home-Link", 'did you mean "home_link"?'),
        ("home_prefixes", "home_prefix", "home_prefix", 'did you mean "home_prefixes"?'),
    ],
)
def test_a_misspelt_key_is_shown_what_was_meant(
    old: str, new: str, mark: str, hint: str
) -> None:
    unknown = [
        problem
        for problem in problems_of(AGENT.replace(old, new))
        if problem.message.startswith("unknown key")
    ]
    assert [(marked(problem), problem.hint) for problem in unknown] == [(mark, hint)]


def test_a_key_of_another_table_is_sent_there() -> None:
    assert only_problem_of(AGENT + 'device = "mip1"\n').hint == (
        '"device" belongs to the top of the file, before the first [table]'
    )
    assert only_problem_of(NODE + 'home_address = "::1"\n').hint == (
        '"home_address" belongs to [mobile-node]'
    )
    problem = only_problem_of("quux = 1\n" + AGENT)
    assert problem.hint.startswith("known here: name, device, ")


def test_a_table_of_the_other_role_is_told_apart_from_a_misspelling() -> None:
    problem = only_problem_of(AGENT + '[[link]]\nname = "lte"\n')
    assert problem.message == "link belongs to a mobile node"
    assert 'role = "mobile-node"' in problem.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (AGENT.replace('role = "home-agent"\n', ""), "role is missing"),
        (AGENT.replace('"home-agent"', '"homeagent"'), 'role: "homeagent" is not a role'),
        (AGENT.replace('"home-agent"', "[1]"), "role: a list is not a role"),
        ('security = "none"', "role is missing"),
    ],
)
def test_without_a_role_the_roles_are_named(text: str, message: str) -> None:
    problem = only_problem_of(text)
    assert problem.message == message
    assert 'role = "home-agent"' in problem.hint


def test_a_missing_key_is_told_at_its_table_with_an_example() -> None:
    problem = only_problem_of(AGENT.replace('home_link = "eth0"\n', ""))
    assert problem.message == "home_link is missing in [home-agent]"
    assert (problem.line, marked(problem)) == (3, "[home-agent]")
    assert problem.hint == 'write home_link = "eth0"'


def test_a_missing_table_is_told() -> None:
    text = 'role = "mobile-node"\nsecurity = "none"\n'
    assert [problem.message for problem in problems_of(text)] == [
        "mobile-node is missing",
        "link is missing",
    ]


def test_one_link_in_single_brackets_is_told_the_double_ones() -> None:
    head, _, _ = NODE.rpartition("[[link]]")
    problem = only_problem_of(head.replace("[[link]]", "[link]"))
    assert "[[link]]" in problem.hint


@pytest.mark.parametrize("value", ["3", '"x"', "[]"])
def test_a_value_in_place_of_a_table_is_told(value: str) -> None:
    text = f'role = "mobile-node"\nsecurity = "none"\nmobile-node = {value}\nlink = {value}\n'
    assert len(problems_of(text)) == 2


def test_more_links_than_there_are_routing_tables_are_refused() -> None:
    head = NODE.partition("[[link]]")[0]
    links = "".join(f'[[link]]\nname = "l{n}"\ninterface = "e{n}"\n' for n in range(101))
    assert only_problem_of(head + links).message == "link: 101 uplinks are given"


def test_a_control_socket_needs_a_path_that_the_system_takes() -> None:
    directory = "/run/" + "x" * 100
    problem = only_problem_of(f'runtime_directory = "{directory}"\n' + AGENT)
    assert "octets" in problem.message
    assert marked(problem) == f'"{directory}"'


@pytest.mark.parametrize("value", ['"run"', '""', "7"])
def test_directories_are_absolute(value: str) -> None:
    problem = only_problem_of(f"state_directory = {value}\n" + AGENT)
    assert marked(problem) == value


def test_the_name_comes_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "my-van.toml"
    path.write_text(NODE)
    assert load(path).name == "my-van"
    path.write_text('name = "bus"\n' + NODE)
    assert load(path).name == "bus"


def test_a_file_whose_name_cannot_name_a_node_is_told_to_say_one(tmp_path: Path) -> None:
    path = tmp_path / "my van.toml"
    path.write_text(NODE)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert "name" in problem.hint
    assert "my van" in problem.message


def test_a_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            load(path)
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load(tmp_path / "latin.toml")

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(NoPermissionError):
        load(tmp_path / "latin.toml")


def test_windows_line_ends_do_not_shift_the_caret() -> None:
    problem = only_problem_of((AGENT + "bulk = 3\n").replace("\n", "\r\n"))
    assert (problem.line, problem.source, marked(problem)) == (7, "bulk = 3", "3")


def test_a_list_over_several_lines_marks_the_bad_element() -> None:
    text = AGENT + 'mobile_nodes = [\n  "2001:db8:1::5", # fine\n  "2001:db8:9::5",\n]\n'
    problem = only_problem_of(text)
    assert (problem.line, marked(problem)) == (9, '"2001:db8:9::5"')
