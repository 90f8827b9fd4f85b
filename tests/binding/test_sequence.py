"""RFC 6275 §9.5.1: sequence numbers go in a circle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.binding.sequence import is_newer, successor

numbers = st.integers(0, 0xFFFF)


@pytest.mark.requirement("S4.1-05")
@pytest.mark.parametrize("old", [15, 0, 14, 32783, 65535])
def test_rfc6275_9_5_1_the_half_circle_up_to_the_last_number_is_old(old: int) -> None:
    assert not is_newer(old, 15)


@pytest.mark.requirement("S4.1-05")
@pytest.mark.parametrize("new", [16, 17, 32782])
def test_rfc6275_9_5_1_the_half_circle_after_the_last_number_is_new(new: int) -> None:
    assert is_newer(new, 15)


@given(numbers)
def test_a_successor_is_newer_and_its_predecessor_is_not(number: int) -> None:
    assert is_newer(successor(number), number)
    assert not is_newer(number, successor(number))


@given(numbers, numbers)
def test_two_numbers_are_never_newer_than_each_other(one: int, other: int) -> None:
    assert not (is_newer(one, other) and is_newer(other, one))
