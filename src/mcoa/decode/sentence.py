"""A description as one line for people, its options indented below."""

from collections.abc import Iterator

from mcoa.decode.describe import Description
from mcoa.decode.facts import flags_of, lifetime_of, sequence_of
from mcoa.decode.fields import Json, JsonObject
from mcoa.wire.icmpv6 import HomeAgentAddressDiscoveryReply
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    CareOfTest,
    CareOfTestInit,
    HomeAgentSwitch,
    HomeTest,
    HomeTestInit,
)
from mcoa.wire.registry import BindingStatus, OptionType

_HEAD_OF_OPTION = ("type", "name", "length")


def sentences(description: Description) -> Iterator[str]:
    """Yield the line of a packet, then one for each of its options."""
    parts = [f"{description.packet:>6}", _route(description), _what(description)]
    if description.error is not None:
        parts.append(f"broken at octet {description.error.offset}: {description.error.reason}")
    yield "  ".join(part for part in parts if part)
    for option in description.options or ():
        yield f"{'':8}{option['name']}: {_option(option)}"


def _route(description: Description) -> str:
    if description.source is None:
        return ""
    route = f"{description.source} > {description.destination}"
    if description.home_address_option is not None:
        route += f", home address {description.home_address_option}"
    if description.routing_header_home_address is not None:
        route += f", routed to home address {description.routing_header_home_address}"
    if description.outer_source is not None:
        route += f" (in {description.outer_source} > {description.outer_destination})"
    return route


def _what(description: Description) -> str:
    if description.message is None:
        return ""
    facts = ", ".join(_facts(description))
    return f"{description.message}: {facts}" if facts else description.message


def _facts(description: Description) -> Iterator[str]:
    content = description.content
    if (sequence := sequence_of(content)) is not None:
        yield f"sequence {sequence}"
    if (status := _status(description)) is not None:
        yield status
    if flags := flags_of(content):
        yield f"flags {flags}"
    if (lifetime_s := lifetime_of(content)) is not None:
        yield f"lifetime {lifetime_s} s"
    yield from _own_facts(description)
    if description.checksum_ok is False:
        yield "wrong checksum"


def _own_facts(description: Description) -> Iterator[str]:
    """Yield what only this kind of message has."""
    match description.content:
        case HomeTestInit() | CareOfTestInit() as init:
            yield f"cookie {init.cookie.hex()}"
        case HomeTest() | CareOfTest() as test:
            yield f"nonce index {test.nonce_index}"
            yield f"cookie {test.cookie.hex()}"
        case BindingError() as error:
            yield f"home address {error.home_address}"
        case BindingRevocationIndication() as indication:
            yield f"trigger {indication.trigger.label.lower()} ({int(indication.trigger)})"
        case HomeAgentSwitch() | HomeAgentAddressDiscoveryReply() as agents:
            yield "home agents " + (", ".join(map(str, agents.addresses)) or "none")
        case _:
            pass


def _status(description: Description) -> str | None:
    match description.content:
        case BindingAcknowledgement() as acknowledgement:
            return f"status {acknowledgement.status.phrase}"
        case BindingError() | BindingRevocationAcknowledgement() as answer:
            return f"status {answer.status.label.lower()} ({int(answer.status)})"
        case _:
            return None


def _option(option: JsonObject) -> str:
    if option["type"] == OptionType.BINDING_IDENTIFIER and "malformed" not in option:
        return ", ".join(_identifier(option))
    words = (_field(name, value) for name, value in option.items() if _speaks(name, value))
    return ", ".join(words) or "empty"


def _identifier(option: JsonObject) -> Iterator[str]:
    yield f"BID {option['bid']}"
    if isinstance(option["status"], int) and option["status"]:
        yield f"status {BindingStatus(option['status']).phrase}"
    if option["home"]:
        yield "home"
    if option["priority"]:
        yield f"priority {option['priority']}"
    if option["care_of_address"]:
        yield f"care-of address {option['care_of_address']}"


def _speaks(name: str, value: Json) -> bool:
    """Leave out what is absent or not set, and what the line says already."""
    return name not in _HEAD_OF_OPTION and value is not None and value is not False


def _field(name: str, value: Json) -> str:
    words = name.removesuffix("_s").replace("_", " ")
    unit = " s" if name.endswith("_s") else ""
    match value:
        case True:
            return words
        case list():
            return f"{words} " + (" ".join(map(_plain, value)) or "none")
        case _:
            return f"{words} {_plain(value)}{unit}"


def _plain(value: Json) -> str:
    if isinstance(value, dict):
        facts = (_field(name, item) for name, item in value.items() if _speaks(name, item))
        return "(" + ", ".join(facts) + ")"
    # What a packet brought must not reach the terminal as control characters.
    return ascii(value)[1:-1] if isinstance(value, str) else str(value)
