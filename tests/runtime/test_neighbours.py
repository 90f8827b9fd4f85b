"""Where neighbours look for an address."""

from ipaddress import IPv6Address

from mcoa.runtime.neighbours import solicited_node_group


def test_rfc4291_2_7_1_the_group_has_the_addresss_last_24_bits() -> None:
    address = IPv6Address("4037::01:800:200e:8c6c")
    assert solicited_node_group(address) == IPv6Address("ff02::1:ff0e:8c6c")
