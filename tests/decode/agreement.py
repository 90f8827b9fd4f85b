"""When our reading of a packet and Wireshark's are the same, field by field."""

from collections.abc import Callable
from io import BytesIO

from decode.tshark import Fields, Opinion
from mcoa.decode.capture import read_frames
from mcoa.decode.describe import describe
from mcoa.decode.fields import Json, JsonObject

Same = Callable[[str, Json], bool]


def _number(show: str, ours: Json) -> bool:
    return int(show, 0) == ours


def _text(show: str, ours: Json) -> bool:
    return show == ours


def _hex(show: str, ours: Json) -> bool:
    return show.replace(":", "") == ours


def _beginning(show: str, ours: Json) -> bool:
    """Wireshark 4.0 counts the option's own header and loses the last two octets."""
    return isinstance(ours, str) and ours[:-4] == show.replace(":", "")


def _network(show: str, ours: Json) -> bool:
    return isinstance(ours, str) and show == ours.split("/")[0]


def _length(show: str, ours: Json) -> bool:
    return isinstance(ours, str) and show == ours.split("/")[1]


def _four_seconds(show: str, ours: Json) -> bool:
    return 4 * int(show) == ours


# Of each option: our field, Wireshark's, and what it is for both to be the same.
OPTION_FIELDS: dict[int, list[tuple[str, str, Same]]] = {
    2: [("interval_s", "mip6.bra.interval", _four_seconds)],
    3: [("address", "mip6.acoa.acoa", _text)],
    4: [("home", "mip6.ni.hni", _number), ("care_of", "mip6.ni.cni", _number)],
    5: [("authenticator", "mip6.bad.auth", _hex)],
    6: [("prefix", "mip6.nemo.mnp.mnp", _network), ("prefix", "mip6.nemo.mnp.pfl", _length)],
    7: [("code", "mip6.lla.optcode", _number), ("address", "mip6.lla", _text)],
    9: [
        ("subtype", "mip6.auth.subtype", _number),
        ("spi", "mip6.auth.mobility_spi", _number),
        ("data", "mip6.auth.auth_data", _beginning),
    ],
    8: [("subtype", "mip6.mnid.subtype", _number)],
    28: [("counter", "mip6.rc", _number)],
    29: [
        ("prefix_length", "mip6.ipv4ha.preflen", _number),
        ("wants_prefix", "mip6.ipv4ha.p_flag", _number),
        ("address", "mip6.ipv4ha.ha", _text),
    ],
    30: [
        ("status", "mip6.ipv4aa.sts", _number),
        ("prefix_length", "mip6.ipv4ha.preflen", _number),
        ("address", "mip6.ipv4ha.ha", _text),
    ],
    31: [
        ("force_udp", "mip6.natd.f_flag", _number),
        ("refresh_time_s", "mip6.natd.refresh_t", _number),
    ],
    32: [("address", "mip6.ipv4coa.addr", _text)],
    35: [
        ("bid", "mip6.bi.bid", _number),
        ("status", "mip6.bi.status", _number),
        ("home", "mip6.bi.h_flag", _number),
    ],
}
UPDATE_FLAGS = {
    "A": "mip6.bu.a_flag",
    "H": "mip6.bu.h_flag",
    "L": "mip6.bu.l_flag",
    "K": "mip6.bu.k_flag",
    "M": "mip6.bu.m_flag",
    "R": "mip6.nemo.bu.r_flag",
    "P": "mip6.bu.p_flag",
    "F": "mip6.bu.f_flag",
    "T": "mip6.bu.t_flag",
    "O": "mip6.bu.b_flag",  # the bit that a later RFC took for something else
}
ACKNOWLEDGEMENT_FLAGS = {
    "K": "mip6.ba.k_flag",
    "R": "mip6.nemo.ba.r_flag",
    "P": "mip6.ba.p_flag",
    "T": "mip6.ba.t_flag",
}
HEARTBEAT_FLAGS = {"U": "mip6.hb.u_flag", "R": "mip6.hb.r_flag"}
INDICATION_FLAGS = {"P": "mip6.bri_ip", "V": "mip6.bri_iv", "G": "mip6.bri_ig"}
REVOCATION_FLAGS = {"P": "mip6.bri_ap", "V": "mip6.bri_av", "G": "mip6.bri_ag"}
# Of each message: where Wireshark has its sequence number, status, lifetime and flags.
MESSAGE_FIELDS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "Binding Update": ("mip6.bu.seqnr", "", "mip6.bu.lifetime", UPDATE_FLAGS),
    "Binding Acknowledgement": (
        "mip6.ba.seqnr",
        "mip6.ba.status",
        "mip6.ba.lifetime",
        ACKNOWLEDGEMENT_FLAGS,
    ),
    "Binding Error": ("", "mip6.be.status", "", {}),
    "Heartbeat": ("mip6.hb.seqnr", "", "", HEARTBEAT_FLAGS),
    "Binding Revocation Indication": ("mip6.bri_seqnr", "", "", INDICATION_FLAGS),
    "Binding Revocation Acknowledgement": (
        "mip6.bri_seqnr",
        "mip6.bri_status",
        "",
        REVOCATION_FLAGS,
    ),
}


def descriptions(capture: bytes) -> dict[int, JsonObject]:
    """Return what `mcoa decode --json` says of a capture, by the packets' numbers."""
    described = (describe(frame) for frame in read_frames(BytesIO(capture)))
    return {item.packet: item.as_json() for item in described if item is not None}


def _compare_header(ours: JsonObject, theirs: Fields) -> None:
    assert theirs["mip6.mhtype"] == str(ours["type"])
    sequence, status, lifetime, flags = MESSAGE_FIELDS.get(
        str(ours["message"]), ("",) * 3 + ({},)
    )
    if sequence:
        assert _number(theirs[sequence], ours["sequence"])
    else:
        assert ours["sequence"] is None
    if status:
        assert _number(theirs[status], ours["status"])
    else:
        assert ours["status"] is None
    if lifetime:
        assert _four_seconds(theirs[lifetime], ours["lifetime_s"])
    else:
        assert ours["lifetime_s"] is None
    if flags:
        set_flags = [letter for letter, name in flags.items() if theirs[name] in {"1", "True"}]
        assert "".join(set_flags) == ours["flags"]


def _compare_options(ours: Json, theirs: list[tuple[int, int, Fields]]) -> None:
    assert isinstance(ours, list)
    heads = [(option["type"], option["length"]) for option in ours if isinstance(option, dict)]
    assert heads == [(number, length) for number, length, _ in theirs]
    for option, (number, length, fields) in zip(ours, theirs, strict=True):
        assert isinstance(option, dict)
        for name, field, same in OPTION_FIELDS.get(number, ()):
            assert same(fields[field], option[name]), (name, fields[field], option)
        if number == 35 and "malformed" not in option:
            address = fields.get("mip6.bi.coa_ipv4") or fields.get("mip6.bi.coa_ipv6")
            assert address == option["care_of_address"], length


def compare(ours: JsonObject, theirs: Opinion) -> None:
    """Assert that our description of a packet and Wireshark's opinion are the same."""
    assert theirs.fields["ipv6.src"] == (ours["outer_source"] or ours["source"])
    if ours["home_address_option"] is not None:
        assert theirs.fields["ipv6.opt.mipv6.home_address"] == ours["home_address_option"]
    if ours["routing_header_home_address"] is not None:
        home_address = theirs.fields["ipv6.routing.mipv6.home_address"]
        assert home_address == ours["routing_header_home_address"]
    if isinstance(ours["type"], int) and ours["type"] < 100:
        _compare_header(ours, theirs.fields)
        _compare_options(ours["options"], theirs.options)
