"""Words for the members of the registries that their names alone do not give."""

from typing import Final

# By the member's name: how its RFC writes it, where that is not the name in title case.
LABELS: Final = {
    "ALTERNATE_CARE_OF_ADDRESS": "Alternate Care-of Address",
    "ALTERNATE_IPV4_CARE_OF_ADDRESS": "Alternate IPv4 Care-of Address",
    "AUTHENTICATION": "Mobility Message Authentication",
    "CARE_OF_TEST": "Care-of Test",
    "CARE_OF_TEST_INIT": "Care-of Test Init",
    "CGA_PARAMETERS": "CGA Parameters",
    "CGA_PARAMETERS_REQUEST": "CGA Parameters Request",
    "DNS_UPDATE": "DNS Update",
    "DYNAMIC_IP_MULTICAST_SELECTOR": "Dynamic IP Multicast Selector",
    "FMIPV6_AUTHORIZATION_DATA": "Binding Authorization Data for FMIPv6",
    "GRE_KEY": "GRE Key",
    "IPV4_ADDRESS_ACKNOWLEDGEMENT": "IPv4 Address Acknowledgement",
    "IPV4_CARE_OF_ADDRESS": "IPv4 Care-of Address",
    "IPV4_DEFAULT_ROUTER_ADDRESS": "IPv4 Default-Router Address",
    "IPV4_DHCP_SUPPORT_MODE": "IPv4 DHCP Support Mode",
    "IPV4_HOME_ADDRESS": "IPv4 Home Address",
    "IPV4_HOME_ADDRESS_REPLY": "IPv4 Home Address Reply",
    "IPV4_HOME_ADDRESS_REQUEST": "IPv4 Home Address Request",
    "IPV4_TRAFFIC_OFFLOAD_SELECTOR": "IPv4 Traffic Offload Selector",
    "IPV6_ADDRESS_OR_PREFIX": "Mobility Header IPv6 Address/Prefix",
    "LINK_LAYER_ADDRESS": "Mobility Header Link-Layer Address",
    "LINK_LOCAL_ADDRESS": "Link-local Address",
    "MTU": "MTU",
    "MOBILE_NODE_LINK_LAYER_IDENTIFIER": "Mobile Node Link-layer Identifier",
    "NAT_DETECTION": "NAT Detection",
    "PAD1": "Pad1",
    "PADN": "PadN",
    "SOURCE_LINK_LAYER_ADDRESS": "Source Link-Layer Address",
    "TARGET_LINK_LAYER_ADDRESS": "Target Link-Layer Address",
    "VENDOR_SPECIFIC": "Vendor Specific",
}

# By number: what a Binding Acknowledgement's status means to an operator.
STATUS_PHRASES: Final = {
    1: "accepted, but prefix discovery is necessary",
    4: "some bindings were not accepted",
    5: "accepted, but no neighbor discovery for the home address at home",
    128: "rejected for an unspecified reason",
    133: "not the home agent of this mobile node",
    134: "the home address is in use by another node",
    138: "expired home and care-of nonces",
    139: "change of registration type not allowed",
    164: "malformed Binding Identifier option",
    165: "a binding without BID exists",
    166: "multiple care-of addresses prohibited",
    167: "unknown care-of address",
    168: "bulk registration prohibited",
    169: "simultaneous home and foreign attachment prohibited",
    174: "invalid care-of address",
}
