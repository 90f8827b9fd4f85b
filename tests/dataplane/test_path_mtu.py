"""What a path takes, and whom to believe about it."""

from dataplane.packets import CARE_OF, SERVICE, fragment_header, ipv6, tunnelled, udp
from mcoa.dataplane.path_mtu import PathMtu, advertised_mtu, quoted_tunnel_packet


def test_the_tunnel_takes_forty_octets_less_than_the_path() -> None:
    assert PathMtu(1500).tunnel(0.0) == 1460


def test_what_was_learned_holds_for_ten_minutes() -> None:
    mtu = PathMtu(1500)
    assert mtu.reduce(1400, 0.0)
    assert mtu.tunnel(599.0) == 1360
    assert mtu.tunnel(600.0) == 1460


def test_learning_the_same_again_is_no_news_but_holds_longer() -> None:
    mtu = PathMtu(1500)
    mtu.reduce(1400, 0.0)
    assert not mtu.reduce(1400, 500.0)
    assert mtu.path(1099.0) == 1400
    assert mtu.path(1100.0) == 1500


def test_nobody_makes_a_path_larger_or_smaller_than_ipv6() -> None:
    mtu = PathMtu(1400)
    assert not mtu.reduce(1500, 0.0)
    assert mtu.path(0.0) == 1400
    assert mtu.reduce(68, 0.0)
    assert mtu.path(0.0) == 1280
    assert not mtu.reduce(1300, 0.0)


def test_a_smaller_first_link_holds_whatever_was_learned() -> None:
    mtu = PathMtu(1500)
    mtu.reduce(1400, 0.0)
    mtu.link = 1300
    assert mtu.path(0.0) == 1300


def test_an_inner_source_is_never_told_less_than_1280() -> None:
    assert [advertised_mtu(mtu) for mtu in (1240, 1280, 1460)] == [1280, 1280, 1460]


def test_a_quoted_tunnel_packet_shows_both_its_ends_and_the_inner_packet() -> None:
    quoted = quoted_tunnel_packet(tunnelled(udp(), SERVICE, CARE_OF[0])[:1232])
    assert quoted is not None
    assert (quoted.outer_source, quoted.outer_destination) == (SERVICE, CARE_OF[0])
    assert quoted.inner == udp()


def test_a_first_fragment_shows_it_too_and_other_packets_do_not() -> None:
    first = ipv6(SERVICE, CARE_OF[0], fragment_header(41, 0, more=True) + udp(), 44)
    assert quoted_tunnel_packet(first) is not None
    later = ipv6(SERVICE, CARE_OF[0], fragment_header(41, 8, more=True) + udp(), 44)
    assert quoted_tunnel_packet(later) is None
    assert quoted_tunnel_packet(udp()) is None
    assert quoted_tunnel_packet(tunnelled(udp())[:79]) is None
    assert quoted_tunnel_packet(b"") is None
