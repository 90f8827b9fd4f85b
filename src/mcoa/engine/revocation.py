"""Binding Revocation at the mobile node (RFC 5846 §9)."""

from math import inf

from mcoa.binding.update_list import UpdateList
from mcoa.wire.messages import BindingRevocationIndication
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import RevocationFlag, RevocationStatus

_OTHER_PURPOSES = RevocationFlag.PROXY_BINDING | RevocationFlag.IPV4_HOME_ADDRESS_BINDING_ONLY


def revoke(update_list: UpdateList, message: BindingRevocationIndication) -> RevocationStatus:
    """Give up the bindings that an indication names, all of them if it names none.

    They are not asked for again until their link has another address: whoever revoked them had
    a reason.
    """
    if message.flags & _OTHER_PURPOSES:
        return RevocationStatus.BINDING_DOES_NOT_EXIST
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
