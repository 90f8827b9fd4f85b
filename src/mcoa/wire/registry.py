"""Numbers that IANA assigns for mobility, under the names of the registries.

A number that nobody has assigned yet is still a valid value: it becomes a member without a
name, so that what a newer peer sends can be stored, shown and echoed.
"""

from enum import IntEnum, IntFlag
from typing import Final, Self

from mcoa.wire.words import LABELS, STATUS_PHRASES


class _Octet(IntEnum):
    """A registry of one octet, in which every number is valid."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or not 0 <= value <= 0xFF:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNASSIGNED_{value}"
        member._value_ = value
        return member

    def __reduce_ex__(self, protocol: object) -> tuple[type[Self], tuple[int]]:
        # Some versions of Python 3.11 copy members by name, which those of no name do not have.
        return type(self), (int(self),)

    @property
    def label(self) -> str:
        """The name in the words of its RFC."""
        return LABELS.get(self.name) or self.name.replace("_", " ").title()


class MessageType(_Octet):
    """MH Type of a Mobility Header (RFC 6275 §6.1.1 and later ones)."""

    BINDING_REFRESH_REQUEST = 0
    HOME_TEST_INIT = 1
    CARE_OF_TEST_INIT = 2
    HOME_TEST = 3
    CARE_OF_TEST = 4
    BINDING_UPDATE = 5
    BINDING_ACKNOWLEDGEMENT = 6
    BINDING_ERROR = 7
    FAST_BINDING_UPDATE = 8
    FAST_BINDING_ACKNOWLEDGMENT = 9
    FAST_NEIGHBOR_ADVERTISEMENT = 10
    EXPERIMENTAL = 11
    HOME_AGENT_SWITCH = 12
    HEARTBEAT = 13
    HANDOVER_INITIATE = 14
    HANDOVER_ACKNOWLEDGE = 15
    BINDING_REVOCATION = 16
    LOCALIZED_ROUTING_INITIATION = 17
    LOCALIZED_ROUTING_ACKNOWLEDGMENT = 18
    UPDATE_NOTIFICATION = 19
    UPDATE_NOTIFICATION_ACKNOWLEDGEMENT = 20
    FLOW_BINDING = 21
    SUBSCRIPTION_QUERY = 22
    SUBSCRIPTION_RESPONSE = 23


class OptionType(_Octet):
    """Mobility options (RFC 6275 §6.2 and later ones)."""

    PAD1 = 0
    PADN = 1
    BINDING_REFRESH_ADVICE = 2
    ALTERNATE_CARE_OF_ADDRESS = 3
    NONCE_INDICES = 4
    BINDING_AUTHORIZATION_DATA = 5
    MOBILE_NETWORK_PREFIX = 6
    LINK_LAYER_ADDRESS = 7
    MOBILE_NODE_IDENTIFIER = 8
    AUTHENTICATION = 9
    REPLAY_PROTECTION = 10
    CGA_PARAMETERS_REQUEST = 11
    CGA_PARAMETERS = 12
    SIGNATURE = 13
    PERMANENT_HOME_KEYGEN_TOKEN = 14
    CARE_OF_TEST_INIT = 15
    CARE_OF_TEST = 16
    DNS_UPDATE = 17
    EXPERIMENTAL = 18
    VENDOR_SPECIFIC = 19
    SERVICE_SELECTION = 20
    FMIPV6_AUTHORIZATION_DATA = 21
    HOME_NETWORK_PREFIX = 22
    HANDOFF_INDICATOR = 23
    ACCESS_TECHNOLOGY_TYPE = 24
    MOBILE_NODE_LINK_LAYER_IDENTIFIER = 25
    LINK_LOCAL_ADDRESS = 26
    TIMESTAMP = 27
    RESTART_COUNTER = 28
    IPV4_HOME_ADDRESS = 29
    IPV4_ADDRESS_ACKNOWLEDGEMENT = 30
    NAT_DETECTION = 31
    IPV4_CARE_OF_ADDRESS = 32
    GRE_KEY = 33
    IPV6_ADDRESS_OR_PREFIX = 34
    BINDING_IDENTIFIER = 35
    IPV4_HOME_ADDRESS_REQUEST = 36
    IPV4_HOME_ADDRESS_REPLY = 37
    IPV4_DEFAULT_ROUTER_ADDRESS = 38
    IPV4_DHCP_SUPPORT_MODE = 39
    CONTEXT_REQUEST = 40
    LOCAL_MOBILITY_ANCHOR_ADDRESS = 41
    MOBILE_NODE_LINK_LOCAL_ADDRESS_INTERFACE_IDENTIFIER = 42
    TRANSIENT_BINDING = 43
    FLOW_SUMMARY = 44
    FLOW_IDENTIFICATION = 45
    REDIRECT_CAPABILITY = 46
    REDIRECT = 47
    LOAD_INFORMATION = 48
    ALTERNATE_IPV4_CARE_OF_ADDRESS = 49
    MOBILE_NODE_GROUP_IDENTIFIER = 50
    MOBILE_ACCESS_GATEWAY_IPV6_ADDRESS = 51
    ACCESS_NETWORK_IDENTIFIER = 52
    IPV4_TRAFFIC_OFFLOAD_SELECTOR = 53
    DYNAMIC_IP_MULTICAST_SELECTOR = 54
    DELEGATED_MOBILE_NETWORK_PREFIX = 55
    ACTIVE_MULTICAST_SUBSCRIPTION_IPV4 = 56
    ACTIVE_MULTICAST_SUBSCRIPTION_IPV6 = 57
    QUALITY_OF_SERVICE = 58
    LOCAL_MOBILITY_ANCHOR_USER_PLANE_ADDRESS = 59
    MULTICAST = 60
    MULTICAST_ACKNOWLEDGEMENT = 61
    CONTROLLED_GATEWAY_PARAMETERS = 62
    MULTIPATH_BINDING = 63
    MOBILE_ACCESS_GATEWAY_IDENTIFIER = 64


class BindingStatus(_Octet):
    """Status of a Binding Acknowledgement or of one binding in it; 128 and above reject."""

    ACCEPTED = 0
    ACCEPTED_PREFIX_DISCOVERY_NECESSARY = 1
    GRE_KEY_OPTION_NOT_REQUIRED = 2
    GRE_TUNNELING_BUT_TLV_HEADER_NOT_SUPPORTED = 3
    MCOA_NOTCOMPLETE = 4
    MCOA_RETURNHOME_WO_NDP = 5
    TRANSIENT_BINDING_IGNORED = 6
    REASON_UNSPECIFIED = 128
    ADMINISTRATIVELY_PROHIBITED = 129
    INSUFFICIENT_RESOURCES = 130
    HOME_REGISTRATION_NOT_SUPPORTED = 131
    NOT_HOME_SUBNET = 132
    NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE = 133
    DUPLICATE_ADDRESS_DETECTION_FAILED = 134
    SEQUENCE_NUMBER_OUT_OF_WINDOW = 135
    EXPIRED_HOME_NONCE_INDEX = 136
    EXPIRED_CARE_OF_NONCE_INDEX = 137
    EXPIRED_NONCES = 138
    REGISTRATION_TYPE_CHANGE_DISALLOWED = 139
    MOBILE_ROUTER_OPERATION_NOT_PERMITTED = 140
    INVALID_PREFIX = 141
    NOT_AUTHORIZED_FOR_PREFIX = 142
    FORWARDING_SETUP_FAILED = 143
    MIPV6_ID_MISMATCH = 144
    MIPV6_MESG_ID_REQD = 145
    MIPV6_AUTH_FAIL = 146
    PERMANENT_HOME_KEYGEN_TOKEN_UNAVAILABLE = 147
    CGA_AND_SIGNATURE_VERIFICATION_FAILED = 148
    PERMANENT_HOME_KEYGEN_TOKEN_EXISTS = 149
    NON_NULL_HOME_NONCE_INDEX_EXPECTED = 150
    SERVICE_AUTHORIZATION_FAILED = 151
    PROXY_REG_NOT_ENABLED = 152
    NOT_LMA_FOR_THIS_MOBILE_NODE = 153
    MAG_NOT_AUTHORIZED_FOR_PROXY_REG = 154
    NOT_AUTHORIZED_FOR_HOME_NETWORK_PREFIX = 155
    TIMESTAMP_MISMATCH = 156
    TIMESTAMP_LOWER_THAN_PREV_ACCEPTED = 157
    MISSING_HOME_NETWORK_PREFIX_OPTION = 158
    BCE_PBU_PREFIX_SET_DO_NOT_MATCH = 159
    MISSING_MN_IDENTIFIER_OPTION = 160
    MISSING_HANDOFF_INDICATOR_OPTION = 161
    MISSING_ACCESS_TECH_TYPE_OPTION = 162
    GRE_KEY_OPTION_REQUIRED = 163
    MCOA_MALFORMED = 164
    MCOA_NON_MCOA_BINDING_EXISTS = 165
    MCOA_PROHIBITED = 166
    MCOA_UNKNOWN_COA = 167
    MCOA_BULK_REGISTRATION_PROHIBITED = 168
    MCOA_SIMULTANEOUS_HOME_AND_FOREIGN_PROHIBITED = 169
    NOT_AUTHORIZED_FOR_IPV4_MOBILITY_SERVICE = 170
    NOT_AUTHORIZED_FOR_IPV4_HOME_ADDRESS = 171
    NOT_AUTHORIZED_FOR_IPV6_MOBILITY_SERVICE = 172
    MULTIPLE_IPV4_HOME_ADDRESS_ASSIGNMENT_NOT_SUPPORTED = 173
    INVALID_CARE_OF_ADDRESS = 174
    INVALID_MOBILE_NODE_GROUP_IDENTIFIER = 175
    REINIT_SA_WITH_HAC = 176
    NOT_AUTHORIZED_FOR_DELEGATED_PREFIX = 177
    REQUESTED_DELEGATED_PREFIX_IN_USE = 178
    CANNOT_MEET_QOS_SERVICE_REQUEST = 179
    CANNOT_SUPPORT_MULTIPATH_BINDING = 180

    @property
    def is_rejection(self) -> bool:
        """True when the binding was not accepted."""
        return self >= 128

    @property
    def phrase(self) -> str:
        """The status in words for an operator, with its number."""
        words = STATUS_PHRASES.get(self) or (self.name.replace("_", " ").lower())
        return f"{words} ({int(self)})"


# Looking a status up here takes a tenth of the time that making it takes.
BINDING_STATUSES: Final = tuple(map(BindingStatus, range(256)))


class UpdateFlag(IntFlag):
    """Flags of a Binding Update, as they stand in its 16-bit field.

    RFC 5648 draws OVERWRITE where RFC 6602 later put a flag of Proxy Mobile IPv6: it means
    OVERWRITE only while PROXY is clear and a Binding Identifier option is present.
    """

    ACKNOWLEDGE = 0x8000
    HOME = 0x4000
    LINK_LOCAL = 0x2000
    KEY_MANAGEMENT = 0x1000
    MAP = 0x0800
    MOBILE_ROUTER = 0x0400
    PROXY = 0x0200
    FORCE_UDP = 0x0100
    TLV = 0x0080
    OVERWRITE = 0x0040

    @property
    def letters(self) -> str:
        """The flags that are set, in the order of the figure: AHLKMRPFTO."""
        return "".join(
            letter for bit, letter in enumerate("AHLKMRPFTO") if self & (0x8000 >> bit)
        )


class AcknowledgementFlag(IntFlag):
    """Flags of a Binding Acknowledgement, as they stand in the octet after its Status."""

    KEY_MANAGEMENT = 0x80
    MOBILE_ROUTER = 0x40
    PROXY = 0x20
    TLV = 0x10

    @property
    def letters(self) -> str:
        """The flags that are set, under the letters of a Binding Update: KRPT."""
        return "".join(letter for bit, letter in enumerate("KRPT") if self & (0x80 >> bit))


class BindingErrorStatus(_Octet):
    """Status of a Binding Error (RFC 6275 §6.1.9)."""

    UNKNOWN_BINDING_FOR_HOME_ADDRESS = 1
    UNRECOGNIZED_MESSAGE_TYPE = 2


class FlowStatus(_Octet):
    """Status of a Flow Identification option (RFC 6089 §4.2)."""

    ACCEPTED = 0
    ADMINISTRATIVELY_PROHIBITED = 128
    REASON_UNSPECIFIED = 129
    MALFORMED = 130
    BID_NOT_FOUND = 131
    FID_NOT_FOUND = 132
    TRAFFIC_SELECTOR_FORMAT_NOT_SUPPORTED = 133

    @property
    def is_rejection(self) -> bool:
        """True when the flow binding was not accepted."""
        return self >= 128


class Ipv4AddressStatus(_Octet):
    """Status of an IPv4 Address Acknowledgement option (RFC 5555 §3.2.1)."""

    ACCEPTED = 0
    REASON_UNSPECIFIED = 128
    ADMINISTRATIVELY_PROHIBITED = 129
    INCORRECT_IPV4_HOME_ADDRESS = 130
    INVALID_IPV4_ADDRESS = 131
    DYNAMIC_ASSIGNMENT_NOT_AVAILABLE = 132
    PREFIX_ALLOCATION_UNAUTHORIZED = 133

    @property
    def is_rejection(self) -> bool:
        """True when the IPv4 home address was not granted."""
        return self >= 128


class RevocationType(_Octet):
    """What a Binding Revocation message is (RFC 5846 §5)."""

    INDICATION = 1
    ACKNOWLEDGEMENT = 2


class RevocationTrigger(_Octet):
    """Why bindings are revoked (RFC 5846 §5.1)."""

    UNSPECIFIED = 0
    ADMINISTRATIVE_REASON = 1
    INTER_MAG_HANDOVER_SAME_ACCESS_TYPE = 2
    INTER_MAG_HANDOVER_DIFFERENT_ACCESS_TYPE = 3
    INTER_MAG_HANDOVER_UNKNOWN = 4
    USER_INITIATED_SESSION_TERMINATION = 5
    ACCESS_NETWORK_SESSION_TERMINATION = 6
    POSSIBLE_OUT_OF_SYNC_STATE = 7
    PER_PEER_POLICY = 128
    REVOKING_MOBILITY_NODE_LOCAL_POLICY = 129


class RevocationStatus(_Octet):
    """Status of a Binding Revocation Acknowledgement (RFC 5846 §5.2); 128 and above fail."""

    SUCCESS = 0
    PARTIAL_SUCCESS = 1
    BINDING_DOES_NOT_EXIST = 128
    IPV4_HOME_ADDRESS_OPTION_REQUIRED = 129
    GLOBAL_REVOCATION_NOT_AUTHORIZED = 130
    REVOKED_MOBILE_NODES_IDENTITY_REQUIRED = 131
    REVOCATION_FAILED_MOBILE_NODE_IS_ATTACHED = 132
    REVOCATION_TRIGGER_NOT_SUPPORTED = 133
    REVOCATION_FUNCTION_NOT_SUPPORTED = 134
    PROXY_BINDING_REVOCATION_NOT_SUPPORTED = 135


class RevocationFlag(IntFlag):
    """Flags of both Binding Revocation messages (RFC 5846 §5.1, §5.2)."""

    PROXY_BINDING = 0x8000
    IPV4_HOME_ADDRESS_BINDING_ONLY = 0x4000
    GLOBAL = 0x2000

    @property
    def letters(self) -> str:
        """The flags that are set: PVG."""
        return "".join(letter for bit, letter in enumerate("PVG") if self & (0x8000 >> bit))


class Icmpv6Type(_Octet):
    """ICMPv6 messages that mobility has to do with (RFC 4443, RFC 4861, RFC 6275 §6.5-6.8)."""

    DESTINATION_UNREACHABLE = 1
    PACKET_TOO_BIG = 2
    TIME_EXCEEDED = 3
    PARAMETER_PROBLEM = 4
    ECHO_REQUEST = 128
    ECHO_REPLY = 129
    ROUTER_SOLICITATION = 133
    ROUTER_ADVERTISEMENT = 134
    NEIGHBOR_SOLICITATION = 135
    NEIGHBOR_ADVERTISEMENT = 136
    HOME_AGENT_ADDRESS_DISCOVERY_REQUEST = 144
    HOME_AGENT_ADDRESS_DISCOVERY_REPLY = 145
    MOBILE_PREFIX_SOLICITATION = 146
    MOBILE_PREFIX_ADVERTISEMENT = 147


class NeighborOptionType(_Octet):
    """Options of neighbor discovery (RFC 4861 §4.6, RFC 6275 §7.3, §7.4)."""

    SOURCE_LINK_LAYER_ADDRESS = 1
    TARGET_LINK_LAYER_ADDRESS = 2
    PREFIX_INFORMATION = 3
    REDIRECTED_HEADER = 4
    MTU = 5
    ADVERTISEMENT_INTERVAL = 7
    HOME_AGENT_INFORMATION = 8
