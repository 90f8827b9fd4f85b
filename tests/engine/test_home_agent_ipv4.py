"""RFC 5648 §8.1, RFC 5555 §4: a home agent binds IPv4 care-of addresses, before and behind NATs."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from engine.bench_of_agent import (
    AGENT,
    HOME,
    LTE,
    OVERWRITE,
    POLICY,
    REGISTER,
    SAT,
    WIFI,
    Bench,
    bid,
    statuses,
)
from mcoa.binding.cache import Binding
from mcoa.engine.actions import BindingsChanged, Envelope, Send, UdpEnd
from mcoa.engine.addresses import ipv4_mapped
from mcoa.engine.policy import HomeAgentPolicy
from mcoa.wire.icmpv6_mobility import MobilePrefixAdvertisement, MobilePrefixSolicitation
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    BindingUpdate,
    UnknownMessage,
)
from mcoa.wire.options import BindingIdentifier, LinkLayerAddress
from mcoa.wire.options_ipv4 import Ipv4AddressAcknowledgement, Ipv4CareOfAddress, NatDetection
from mcoa.wire.registry import BindingStatus as Status
from mcoa.wire.registry import UpdateFlag

OWN, OTHER = IPv4Address("192.0.2.10"), IPv4Address("10.64.0.2")
PUBLIC, ANEW = IPv4Address("198.51.100.7"), IPv4Address("198.51.100.8")
MAC = bytes.fromhex("020000000064")


class Ipv4Bench(Bench):
    """Sends updates in UDP over IPv4, too."""

    def by_udp(
        self,
        source: IPv4Address,
        *options: object,
        port: int = 4191,
        flags: UpdateFlag = REGISTER,
        lifetime_s: int = 60,
    ) -> BindingAcknowledgement | None:
        self.sequence += 1
        update = BindingUpdate(
            sequence=self.sequence, flags=flags, lifetime_s=lifetime_s, options=options
        )
        self.deliver(update, self.envelope(source, port))
        return self.acknowledgement()

    @staticmethod
    def envelope(source: IPv4Address, port: int) -> Envelope:
        end = UdpEnd(address=ipv4_mapped(source), port=port)
        return Envelope(source=HOME, destination=AGENT, udp=end)

    def binding(self, number: int | None) -> Binding:
        return {each.bid: each for each in self.agent.bindings(HOME)}[number]

    def ends(self) -> dict[int | None, tuple[str, int]]:
        return {
            each.bid: (str(each.care_of_address.ipv4_mapped), each.port)
            for each in self.agent.bindings(HOME)
        }


@pytest.fixture
def bench() -> Ipv4Bench:
    return Ipv4Bench(
        policy=HomeAgentPolicy(
            address=AGENT,
            home_prefixes=POLICY.home_prefixes,
            detect_duplicates=False,
            ipv4=True,
        )
    )


def nat_detection(answer: BindingAcknowledgement | None) -> NatDetection | None:
    assert answer is not None
    found = [each for each in answer.options if isinstance(each, NatDetection)]
    return found[0] if found else None


@pytest.mark.requirement("S8.1-01", "S8.1-09", "S8.1-10", "S8.1-12")
def test_rfc5648_8_1_without_a_nat_the_address_of_the_option_is_bound(
    bench: Ipv4Bench,
) -> None:
    answer = bench.by_udp(OWN, bid(3, OWN))
    assert statuses(answer) == (Status.ACCEPTED, {3: Status.ACCEPTED})
    assert bench.ends() == {3: ("192.0.2.10", 4191)}
    assert not bench.binding(3).is_translated
    assert nat_detection(answer) == NatDetection(
        force_udp=True, refresh_time_s=NatDetection.NO_KEEPALIVE
    )
    assert BindingsChanged(home_address=HOME) in bench.actions


@pytest.mark.requirement("S8.1-10", "S8.1-15")
def test_rfc5648_8_1_behind_a_nat_the_outer_source_is_bound(bench: Ipv4Bench) -> None:
    answer = bench.by_udp(PUBLIC, bid(3, OTHER), port=51000)
    assert bench.ends() == {3: ("198.51.100.7", 51000)}
    assert bench.binding(3).is_translated
    assert nat_detection(answer) == NatDetection(force_udp=True, refresh_time_s=110)


@pytest.mark.requirement("S8.1-11")
def test_rfc5648_8_1_nothing_but_the_bid_option_tells_of_the_care_of_address(
    bench: Ipv4Bench,
) -> None:
    answer = bench.by_udp(PUBLIC, bid(3, OTHER))
    assert answer is not None
    assert not any(isinstance(each, Ipv4AddressAcknowledgement) for each in answer.options)
    kinds = [type(each) for each in answer.options]
    assert kinds == [NatDetection, BindingIdentifier]


def test_the_answer_goes_back_in_udp_to_where_the_update_came_from(bench: Ipv4Bench) -> None:
    bench.by_udp(PUBLIC, bid(3, OTHER), port=51000)
    (answer,) = bench.sent()
    end = UdpEnd(address=ipv4_mapped(PUBLIC), port=51000)
    assert answer.envelope == Envelope(source=AGENT, destination=HOME, udp=end)


def test_ipv4_and_ipv6_addresses_stand_side_by_side(bench: Ipv4Bench) -> None:
    bench.send(bid(1, LTE), bid(2, WIFI))
    bench.by_udp(OWN, bid(3, OWN))
    assert bench.bound() == {1: LTE, 2: WIFI, 3: ipv4_mapped(OWN)}


def test_rfc5648_8_1_what_is_known_may_be_refreshed_with_others(bench: Ipv4Bench) -> None:
    bench.by_udp(PUBLIC, bid(3, OTHER), port=51000)
    bench.send(bid(1, LTE), bid(2, WIFI))
    bench.now = 30.0
    for again in (bid(3), bid(3, OTHER)):  # without the address, or with it
        answer = bench.send(bid(1), bid(2), again)
        assert statuses(answer) == (Status.ACCEPTED, dict.fromkeys((1, 2, 3), Status.ACCEPTED))
        assert bench.ends()[3] == ("198.51.100.7", 51000)
        assert bench.binding(3).is_translated
        assert bench.binding(3).expires_at_s == 90.0


@pytest.mark.requirement("S8.1-02")
def test_rfc5648_8_1_a_new_address_has_to_come_alone(bench: Ipv4Bench) -> None:
    answer = bench.send(bid(1, LTE), bid(3, OWN))
    assert statuses(answer)[1] == {1: 0, 3: Status.MCOA_BULK_REGISTRATION_PROHIBITED}
    answer = bench.by_udp(OWN, bid(2, WIFI), bid(3, OWN))
    assert statuses(answer)[1] == {2: 0, 3: Status.MCOA_BULK_REGISTRATION_PROHIBITED}
    assert bench.bound() == {1: LTE, 2: WIFI}


@pytest.mark.requirement("S8.1-02", "S8.1-08")
def test_rfc5648_8_1_a_changed_address_is_not_taken_from_elsewhere(bench: Ipv4Bench) -> None:
    bench.by_udp(OWN, bid(3, OWN))
    bench.send(bid(1, LTE))
    answer = bench.send(bid(3, OTHER))
    assert statuses(answer)[0] is Status.INVALID_CARE_OF_ADDRESS
    assert bench.ends()[3] == ("192.0.2.10", 4191)


def test_a_nat_that_gives_another_port_or_address_is_followed(bench: Ipv4Bench) -> None:
    bench.by_udp(PUBLIC, bid(3, OTHER), port=51000)
    bench.by_udp(PUBLIC, bid(3), port=51999)
    assert bench.ends() == {3: ("198.51.100.7", 51999)}
    assert BindingsChanged(home_address=HOME) in bench.actions
    bench.by_udp(ANEW, bid(3), port=1024)
    assert bench.ends() == {3: ("198.51.100.8", 1024)}
    assert bench.binding(3).told == ipv4_mapped(OTHER)
    bench.by_udp(OTHER, bid(3))
    assert not bench.binding(3).is_translated


def test_a_refresh_by_way_of_another_link_moves_nothing(bench: Ipv4Bench) -> None:
    bench.by_udp(OWN, bid(2, OWN))
    bench.by_udp(PUBLIC, bid(3, OTHER), port=51000)
    bench.by_udp(OWN, bid(3))
    assert bench.ends() == {2: ("192.0.2.10", 4191), 3: ("198.51.100.7", 51000)}


def test_ipv6_addresses_may_be_told_over_ipv4(bench: Ipv4Bench) -> None:
    bench.by_udp(OWN, bid(1, LTE), bid(2, WIFI))
    assert bench.bound() == {1: LTE, 2: WIFI}
    bench.by_udp(OWN, bid(1))
    assert bench.bound() == {1: LTE, 2: WIFI}


def test_a_deregistration_comes_from_anywhere(bench: Ipv4Bench) -> None:
    bench.by_udp(OWN, bid(2, OWN))
    bench.by_udp(PUBLIC, bid(3, OTHER), port=51000)
    answer = bench.by_udp(OWN, bid(3), lifetime_s=0)
    assert statuses(answer) == (Status.ACCEPTED, {3: Status.ACCEPTED})
    assert nat_detection(answer) is None
    assert bench.ends() == {2: ("192.0.2.10", 4191)}
    bench.by_udp(PUBLIC, lifetime_s=0, port=51000)
    assert bench.bound() == {}


def test_the_o_flag_replaces_what_was_bound_before(bench: Ipv4Bench) -> None:
    bench.send(bid(1, LTE), bid(2, WIFI))
    bench.by_udp(OWN, bid(3, OWN), flags=OVERWRITE)
    assert bench.bound() == {3: ipv4_mapped(OWN)}


@pytest.mark.requirement("S8.1-09")
def test_a_node_without_bids_is_served_as_rfc_5555_says(bench: Ipv4Bench) -> None:
    answer = bench.by_udp(PUBLIC, Ipv4CareOfAddress(address=OTHER), port=51000)
    assert bench.ends() == {None: ("198.51.100.7", 51000)}
    assert bench.binding(None).is_translated
    assert nat_detection(answer) == NatDetection(force_udp=True, refresh_time_s=110)
    answer = bench.by_udp(OWN, Ipv4CareOfAddress(address=OWN))
    assert not bench.binding(None).is_translated
    assert statuses(answer)[0] is Status.ACCEPTED


@pytest.mark.parametrize("source", ["127.0.0.1", "0.0.0.1", "224.0.0.1", "169.254.1.1"])
def test_nobody_is_bound_where_nobody_can_be(bench: Ipv4Bench, source: str) -> None:
    assert bench.by_udp(IPv4Address(source), bid(3, OWN)) is None
    assert statuses(bench.by_udp(OWN, bid(3, IPv4Address(source))))[0] is Status.MCOA_MALFORMED
    assert bench.bound() == {}


def test_an_update_over_ipv4_leaves_the_home_link_bound(bench: Ipv4Bench) -> None:
    mac = LinkLayerAddress(address=MAC)
    bench.send(BindingIdentifier(bid=9, home=True), mac, at_home=True)
    assert bench.binding(9).home
    bench.by_udp(OWN, bid(3, OWN))
    assert bench.binding(9).home
    bench.send(bid(1, LTE))  # this one says that the home link has been left
    assert sorted(bench.bound()) == [1, 3]


def test_what_the_agent_says_unasked_reaches_the_end_of_the_nat(bench: Ipv4Bench) -> None:
    bench.by_udp(PUBLIC, bid(3, OTHER), port=51000)
    bench.actions = bench.agent.revoke(HOME, frozenset({3}), bench.now)
    (sent,) = bench.sent()
    assert isinstance(sent.message, BindingRevocationIndication)
    end = UdpEnd(address=ipv4_mapped(PUBLIC), port=51000)
    assert sent.envelope == Envelope(source=AGENT, destination=HOME, udp=end)
    answer = BindingRevocationAcknowledgement(sequence=sent.message.sequence)
    bench.deliver(answer, bench.envelope(ANEW, 1))
    assert bench.bound()  # that came from nowhere that is bound
    bench.deliver(answer, bench.envelope(PUBLIC, 51000))
    assert bench.bound() == {}


def test_prefixes_are_told_over_ipv4_to_those_who_are_bound(bench: Ipv4Bench) -> None:
    solicitation = MobilePrefixSolicitation(identifier=5)
    bench.deliver(solicitation, bench.envelope(OWN, 4191))
    assert bench.sent() == []
    bench.by_udp(OWN, bid(3, OWN))
    bench.deliver(solicitation, bench.envelope(OWN, 4191))
    (sent,) = bench.sent()
    assert isinstance(sent.message, MobilePrefixAdvertisement)
    assert sent.envelope.udp == UdpEnd(address=ipv4_mapped(OWN), port=4191)


def test_nobody_is_sent_errors_on_the_word_of_a_datagram(bench: Ipv4Bench) -> None:
    bench.deliver(UnknownMessage(type=200, data=bytes(2)), bench.envelope(OWN, 4191))
    assert not any(isinstance(each, Send) for each in bench.actions)
    assert not any(isinstance(each.message, BindingError) for each in bench.sent())


def test_ipv6_takes_the_place_of_ipv4_and_the_other_way_round(bench: Ipv4Bench) -> None:
    bench.by_udp(PUBLIC, bid(3, OTHER), port=51000)
    bench.send(bid(3, SAT))
    binding = bench.binding(3)
    assert (binding.care_of_address, binding.port, binding.told) == (SAT, 0, None)
    bench.by_udp(PUBLIC, bid(3, OTHER), port=51000)
    assert bench.ends() == {3: ("198.51.100.7", 51000)}


def test_a_mapped_address_as_such_is_no_care_of_address(bench: Ipv4Bench) -> None:
    answer = bench.by_udp(OWN, bid(3, IPv6Address("::ffff:192.0.2.10")))
    assert statuses(answer)[0] is Status.MCOA_MALFORMED
