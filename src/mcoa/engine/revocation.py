"""Binding Revocation at the mobile node (RFC 5846 §9)."""

from math import inf

from mcoa.binding.update_list import UpdateList
from mcoa.wire.messages import BindingRevocationIndication
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.options_ipv4 import Ipv4HomeAddress
from mcoa.wire.registry import RevocationFlag, RevocationStatus, RevocationTrigger

_TRIGGERS = frozenset(RevocationTrigger)  # those that have a name


def revoke(update_list: UpdateList, message: BindingRevocationIndication) -> RevocationStatus:
    """Give up the bindings that an indication names, all of them if it names none.

    They are not asked for again until their link has another address: whoever revoked them had
    a reason.
    """
    refusal = _refusal(message)
    if refusal is not None:
        return refusal
    named = {each.bid for each in message.identifiers if isinstance(each, BindingIdentifier)}
    if len(named) < len(message.identifiers):
        return RevocationStatus.BINDING_DOES_NOT_EXIST
    entries = [each for each in update_list if not named or each.bid in named]
    held = [each for each in entries if each.held is not None or each.doubtful]
    for entry in held:
        entry.forget()
        entry.revoked, entry.quiet_until_s = True, inf
    if not held:
        return RevocationStatus.BINDING_DOES_NOT_EXIST
    missing = len(held) < len(named)
    return RevocationStatus.PARTIAL_SUCCESS if missing else RevocationStatus.SUCCESS


def _refusal(message: BindingRevocationIndication) -> RevocationStatus | None:
    """Return why an indication is not carried out at all; None where it may be (RFC 5846 §9.1)."""
    if message.flags & RevocationFlag.PROXY_BINDING:
        return RevocationStatus.PROXY_BINDING_REVOCATION_NOT_SUPPORTED
    if message.flags & RevocationFlag.GLOBAL:
        # Only nodes that serve many have bindings that a peer may end all together.
        return RevocationStatus.GLOBAL_REVOCATION_NOT_AUTHORIZED
    if message.trigger not in _TRIGGERS:
        return RevocationStatus.REVOCATION_TRIGGER_NOT_SUPPORTED
    if message.flags & RevocationFlag.IPV4_HOME_ADDRESS_BINDING_ONLY:
        has_address = any(isinstance(each, Ipv4HomeAddress) for each in message.options)
        if not has_address:
            return RevocationStatus.IPV4_HOME_ADDRESS_OPTION_REQUIRED
        return RevocationStatus.BINDING_DOES_NOT_EXIST
    return None
