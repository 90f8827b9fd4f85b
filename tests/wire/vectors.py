"""Ten messages with their octets, their checksum's addresses and their meaning.

Checked by hand against the RFCs, and with Wireshark for all but the flow options, which it
does not know.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from mcoa.wire.flow import FlowIdentification
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingRefreshRequest,
    BindingUpdate,
    Message,
)
from mcoa.wire.options import (
    BindingAuthorizationData,
    BindingIdentifier,
    LinkLayerAddress,
    NonceIndices,
)
from mcoa.wire.options_ipv4 import Ipv4HomeAddress
from mcoa.wire.registry import BindingStatus, UpdateFlag
from mcoa.wire.selectors import Ipv6TrafficSelector

HOME_ADDRESS = IPv6Address("2001:db8:1::100")
HOME_AGENT = IPv6Address("2001:db8:1::1")
CORRESPONDENT = IPv6Address("2001:db8:9::c")
CARE_OF_1 = IPv6Address("2001:db8:a::1")
CARE_OF_2 = IPv6Address("2001:db8:b::2")

TO_HOME_AGENT = UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    octets: bytes
    message: Message
    source: IPv6Address = HOME_ADDRESS
    destination: IPv6Address = HOME_AGENT


VECTORS = {
    "V1-bulk-update-with-overwrite": Vector(
        octets=bytes.fromhex(
            "3b070500fe2a0001c0400096"
            "010400000000 23140001000020010db8000a00000000000000000001"
            "0100 23140002000020010db8000b00000000000000000002"
        ),
        message=BindingUpdate(
            sequence=1,
            flags=TO_HOME_AGENT | UpdateFlag.OVERWRITE,
            lifetime_s=600,
            options=(
                BindingIdentifier(bid=1, care_of_address=CARE_OF_1),
                BindingIdentifier(bid=2, care_of_address=CARE_OF_2),
            ),
        ),
    ),
    "V2-refresh-without-addresses": Vector(
        octets=bytes.fromhex("3b0205005c450002c0000096 230400010000 230400020000"),
        message=BindingUpdate(
            sequence=2,
            flags=TO_HOME_AGENT,
            lifetime_s=600,
            options=(BindingIdentifier(bid=1), BindingIdentifier(bid=2)),
        ),
    ),
    "V3-acknowledgement-not-complete": Vector(
        octets=bytes.fromhex("3b0206007045040000020096 230400010000 23040002a700"),
        message=BindingAcknowledgement(
            status=BindingStatus.MCOA_NOTCOMPLETE,
            sequence=2,
            lifetime_s=600,
            options=(
                BindingIdentifier(bid=1),
                BindingIdentifier(bid=2, status=BindingStatus.MCOA_UNKNOWN_COA),
            ),
        ),
        source=HOME_AGENT,
        destination=HOME_ADDRESS,
    ),
    "V4-deregistration-of-one": Vector(
        octets=bytes.fromhex("3b0205007edb0003c0000000 230400020000 010400000000"),
        message=BindingUpdate(
            sequence=3,
            flags=TO_HOME_AGENT,
            lifetime_s=0,
            options=(BindingIdentifier(bid=2),),
        ),
    ),
    "V5-ipv4-care-of-address": Vector(
        octets=bytes.fromhex(
            "3b040500b5e90004c0000096 1d06800000000000 010400000000"
            "230800030000c6336407 01020000"
        ),
        message=BindingUpdate(
            sequence=4,
            flags=TO_HOME_AGENT,
            lifetime_s=600,
            options=(
                Ipv4HomeAddress(address=IPv4Address(0)),
                BindingIdentifier(bid=3, care_of_address=IPv4Address("198.51.100.7")),
            ),
        ),
    ),
    "V6-binding-of-the-home-link": Vector(
        octets=bytes.fromhex(
            "3b06050037c40005c0000096 010400000000"
            "23140009008020010db8000100000000000000000100"
            "070702020000000009 01050000000000"
        ),
        message=BindingUpdate(
            sequence=5,
            flags=TO_HOME_AGENT,
            lifetime_s=600,
            options=(
                BindingIdentifier(bid=9, home=True, care_of_address=HOME_ADDRESS),
                LinkLayerAddress(code=2, address=bytes.fromhex("020000000009")),
            ),
        ),
    ),
    "V7-refresh-request": Vector(
        octets=bytes.fromhex("3b02000020dc0000 230400010000 230400020000 01020000"),
        message=BindingRefreshRequest(
            options=(BindingIdentifier(bid=1), BindingIdentifier(bid=2))
        ),
        source=HOME_AGENT,
        destination=HOME_ADDRESS,
    ),
    "V8-flow-identification": Vector(
        octets=bytes.fromhex(
            "3b0505001fb50006c0000096 230400010001 230400020002"
            "2d150005000a0000 02020002 03090200 00820000 01bb 06 00"
        ),
        message=BindingUpdate(
            sequence=6,
            flags=TO_HOME_AGENT,
            lifetime_s=600,
            options=(
                BindingIdentifier(bid=1, priority=1),
                BindingIdentifier(bid=2, priority=2),
                FlowIdentification(
                    fid=5,
                    priority=10,
                    bids=(2,),
                    selector=Ipv6TrafficSelector(start_source_port=443, start_next_header=6),
                ),
            ),
        ),
    ),
    "V9-update-to-a-correspondent": Vector(
        octets=bytes.fromhex(
            "3b07050033c8000780000069 010400000000"
            "23140001000020010db8000a00000000000000000001"
            "040400110011 01020000 050c0e810206fad3d60fc9d7a71c"
        ),
        message=BindingUpdate(
            sequence=7,
            flags=UpdateFlag.ACKNOWLEDGE,
            lifetime_s=420,
            options=(
                BindingIdentifier(bid=1, care_of_address=CARE_OF_1),
                NonceIndices(home=17, care_of=17),
                BindingAuthorizationData(
                    authenticator=bytes.fromhex("0e810206fad3d60fc9d7a71c")
                ),
            ),
        ),
        destination=CORRESPONDENT,
    ),
    "V10-deregistration-at-a-correspondent": Vector(
        octets=bytes.fromhex(
            "3b040500cd97000880000000 230400010000 040400110000 0100"
            "050c975fbe137346b3ed52e7186f"
        ),
        message=BindingUpdate(
            sequence=8,
            flags=UpdateFlag.ACKNOWLEDGE,
            lifetime_s=0,
            options=(
                BindingIdentifier(bid=1),
                NonceIndices(home=17, care_of=0),
                BindingAuthorizationData(
                    authenticator=bytes.fromhex("975fbe137346b3ed52e7186f")
                ),
            ),
        ),
        destination=CORRESPONDENT,
    ),
}
