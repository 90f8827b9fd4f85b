"""A mobile node's Binding Update to a correspondent, with its proof (RFC 6275 §11.7.2)."""

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Self

from mcoa.binding.routability import MAX_RR_BINDING_LIFETIME_S, binding_management_key
from mcoa.engine.authorization import sign
from mcoa.engine.routability_test import Token
from mcoa.engine.wish import Wish
from mcoa.wire.messages import BindingUpdate
from mcoa.wire.options import AlternateCareOfAddress, BindingIdentifier, NonceIndices
from mcoa.wire.registry import UpdateFlag


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What an update is signed with, and its acknowledgement as well.

    Attributes:
        key: Kbm.
        address: the care-of address that the authenticator covers; for a deletion the home
            address.
        indices: by which the correspondent makes the tokens again.
    """

    key: bytes
    address: IPv6Address
    indices: NonceIndices

    @classmethod
    def of(cls, home: Token, care_of: Token | None, address: IPv6Address) -> Self:
        """Make the proof of an address out of its tokens; a deletion has none of a care-of address."""
        key = binding_management_key(home.octets, b"" if care_of is None else care_of.octets)
        indices = NonceIndices(
            home=home.nonce_index, care_of=0 if care_of is None else care_of.nonce_index
        )
        return cls(key=key, address=address, indices=indices)


def proven_update(
    wish: Wish,
    proof: Proof,
    sequence: int,
    flags: UpdateFlag,
    *,
    source: IPv6Address,
    correspondent: IPv6Address,
) -> BindingUpdate:
    """Return the update that says what is wished; its mark is the last option (RFC 5648 §5.2).

    One that deletes is proven for the home address (RFC 6275 §6.1.7). Where it comes from another
    one, it says so: some correspondents take what is proven from the packet alone.
    """
    elsewhere = wish.deregisters and source != proof.address
    alternate = (AlternateCareOfAddress(address=proof.address),) if elsewhere else ()
    identifiers = tuple(
        BindingIdentifier(bid=item.bid, care_of_address=item.care_of_address)
        for item in wish.items
        if item.bid is not None
    )
    update = BindingUpdate(
        sequence=sequence,
        flags=flags | (UpdateFlag.OVERWRITE if wish.overwrites else UpdateFlag(0)),
        lifetime_s=0 if wish.deregisters else MAX_RR_BINDING_LIFETIME_S,
        options=(*identifiers, *alternate, proof.indices),
    )
    return sign(update, proof.key, care_of_address=proof.address, correspondent=correspondent)
