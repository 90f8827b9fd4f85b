"""Tokens, keys and authenticators against vectors made elsewhere; and how nonces age."""

from itertools import count

from mcoa.binding.routability import (
    Nonces,
    authenticator,
    binding_management_key,
    care_of_keygen_token,
    home_keygen_token,
)

KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f10111213")
NONCE = bytes.fromhex("0102030405060708")
HOME = bytes.fromhex("20010db8000100000000000000000100")
CARE_OF = bytes.fromhex("20010db8000a00000000000000000001")
PEER = bytes.fromhex("20010db800090000000000000000000c")
HOME_TOKEN = bytes.fromhex("37ef3c8eb202a6f2")
CARE_OF_TOKEN = bytes.fromhex("1f38daf469d5b83f")
UPDATE = bytes.fromhex(
    "3b07050033c800078000006901040000000023140001000020010db8000a0000000000000000000104040011001101"
    "020000050c0e810206fad3d60fc9d7a71c"
)
DELETION = bytes.fromhex(
    "3b040500cd970008800000002304000100000404001100000100050c975fbe137346b3ed52e7186f"
)


def made_nonces() -> Nonces:
    numbers = count(1)
    return Nonces(lambda length: next(numbers).to_bytes(length))


def test_tokens_and_keys_are_those_of_the_vectors() -> None:
    assert home_keygen_token(KEY, HOME, NONCE) == HOME_TOKEN
    assert care_of_keygen_token(KEY, CARE_OF, NONCE) == CARE_OF_TOKEN
    assert binding_management_key(HOME_TOKEN, CARE_OF_TOKEN).hex() == (
        "719dacdd287146c2a4079bfd6b5af7aeb550001e"
    )
    assert binding_management_key(HOME_TOKEN).hex() == (
        "6c3b94a5418044de64b5849ee76347b0578e11c6"
    )


def test_marks_are_those_of_the_vectors() -> None:
    key = binding_management_key(HOME_TOKEN, CARE_OF_TOKEN)
    assert authenticator(key, CARE_OF, PEER, UPDATE) == UPDATE[-12:]
    key = binding_management_key(HOME_TOKEN)
    assert authenticator(key, HOME, PEER, DELETION) == DELETION[-12:]


def test_a_nonce_is_used_for_half_a_minute_and_known_for_four() -> None:
    nonces = made_nonces()
    first = nonces.current(0.0)
    assert nonces.current(29.9) == first
    second = nonces.current(30.0)
    assert second != first
    assert nonces.home_token(HOME, first, 239.9) is not None
    assert nonces.home_token(HOME, first, 240.0) is None
    assert nonces.care_of_token(CARE_OF, second, 269.9) is not None
    assert nonces.made_at_s(second) == 30.0
    assert nonces.made_at_s(first) == float("-inf")


def test_an_index_is_never_zero_and_comes_round() -> None:
    nonces = Nonces(lambda length: b"\xff" * length)
    seen = [nonces.current(30.0 * step) for step in range(3)]
    assert seen == [1, 2, 3]


def test_after_a_long_silence_a_new_nonce_is_made() -> None:
    nonces = made_nonces()
    first = nonces.current(0.0)
    assert nonces.current(10_000.0) != first
    assert len(nonces) == 1
