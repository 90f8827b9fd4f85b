// SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only
/*
 * The fast path of mcoa: what the daemon has decided for a flow, done in the kernel.
 *
 * One program a job. What a program does not know, it leaves to the daemon; the daemon then
 * writes its decision down (fast_path.h). Where no daemon lives, packets of new flows take any
 * way that their home address is bound to, so that forwarding goes on until there is one.
 */
#include "inbound.h"
#include "outbound.h"

char terms[] SEC("license") = "Dual BSD/GPL";

/* On the way out of the daemon's device: what routing sent there. */
SEC("tc")
int from_device(struct __sk_buff *skb)
{
	struct settings *settings = the_settings();
	struct ipv6hdr header;

	if (!settings || !settings->role || skb->protocol != bpf_htons(ETH_P_IPV6) ||
	    bpf_skb_load_bytes(skb, 0, &header, sizeof(header)) || !is_ipv6(&header))
		return LEAVE_IT;
	if (settings->role == ROLE_HOME_AGENT &&
	    is_same_address(&header.daddr, settings->address)) {
		if (header.nexthdr != IPPROTO_IPV6)
			return LEAVE_IT;
		/* Next time it could be taken there, and spare a round through the kernel. */
		settings->entry = skb->ingress_ifindex;
		return from_ipv6_tunnel(skb, settings, 0, &header);
	}
	return outbound(skb, settings, &header);
}

/* On the way in by an uplink with Ethernet's header. */
SEC("tc")
int from_ethernet(struct __sk_buff *skb)
{
	return inbound(skb, ETH_HLEN);
}

/* On the way in by an uplink without a header of layer 2, as modems have them. */
SEC("tc")
int from_bare_link(struct __sk_buff *skb)
{
	return inbound(skb, 0);
}

/* Stands in `attended` while a daemon lives. */
SEC("tc")
int leave_it(struct __sk_buff *skb)
{
	return LEAVE_IT;
}
