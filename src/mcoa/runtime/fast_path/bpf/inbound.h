/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/* From an uplink to the device: who may send so is checked, and the packet is itself again. */
#ifndef MCOA_INBOUND_H
#define MCOA_INBOUND_H

#include "choose.h"
#include "outbound.h"

/* Since Linux 6.3; older headers do not know it, and older kernels refuse it. */
#define DECAP_L3_IPV6 (1ULL << 8)

/*
 * Inner ECN after the tunnel, four bits for each pair of inner and outer one: a row of RFC 6040
 * figure 4 is four digits, from right to left.
 */
#define ECN_AFTER 0x3333321231114000ULL
#define ECN_DROPS 4

/* What becomes of a packet before it is changed. */
enum verdict {
	PASS,
	UP,
	REFUSED,
};

static __always_inline bool comes_as_known(const struct flow *flow, const struct way *way,
					   __u32 number)
{
	struct way *usual;

	if (flow->way == number)
		return true;
	if (flow->flags & FLOW_SAME_WAY)
		return false;
	if (!(flow->flags & FLOW_SAME_FORM))
		return true;
	usual = way_of(flow->way);
	return usual && usual->form == way->form;
}

/*
 * Judge a packet: whether its sender is bound, and whether its flow is known to come this way.
 */
static __always_inline enum verdict judge(struct __sk_buff *skb, const struct entrance *entrance,
					  struct flow_key *key, bool is_known, __u32 length)
{
	__u32 *number = bpf_map_lookup_elem(&entrances, entrance);
	__u64 packets = packets_in(skb);
	struct flow *flow;
	struct way *way;

	if (!number)
		return REFUSED;
	way = way_of(*number);
	if (!way)
		return UP;
	flow = is_known ? flow_of(key) : NULL;
	if (flow && way->room && comes_as_known(flow, way, *number)) {
		note(flow, packets, length);
	} else {
		ask_daemon(skb);
		if (!may_be_forwarded((void *)key->source) ||
		    !may_be_forwarded((void *)key->destination))
			return UP;
	}
	way->heard_ns = bpf_ktime_get_coarse_ns();
	add(&way->packets_in, packets);
	add(&way->octets_in, length);
	return PASS;
}

/*
 * A correspondent's device goes with its daemon, and its addresses are on its interfaces.
 */
static __always_inline int deliver(const struct settings *settings)
{
	if (settings->role == ROLE_CORRESPONDENT)
		return TC_ACT_OK;
	return bpf_redirect(settings->device, BPF_F_INGRESS);
}

/*
 * Take a tunnel packet whose outer header, of `outer_length` octets, begins at `at`.
 */
static __always_inline int from_tunnel(struct __sk_buff *skb, const struct settings *settings,
				       __u32 at, __u32 outer_length, __u8 outer_ecn,
				       struct entrance *entrance)
{
	__u32 length = skb->len - at - outer_length;
	struct ipv6hdr inner;
	struct flow_key key;
	bool is_known;
	__u8 ecn;

	if (bpf_skb_load_bytes(skb, at + outer_length, &inner, sizeof(inner)) ||
	    !is_ipv6(&inner) || bpf_ntohs(inner.payload_len) + BASE_LENGTH != length)
		return LEAVE_IT;
	copy_address(entrance->home, settings->role == ROLE_MOBILE_NODE ? &inner.daddr :
									  &inner.saddr);
	/* What is for the agent itself never goes past it, nor signalling past the mobile node. */
	if (settings->role == ROLE_HOME_AGENT ?
		    is_same_address(&inner.daddr, settings->address) :
		    inner.nexthdr == MOBILITY_HEADER)
		return LEAVE_IT;
	is_known = read_key(skb, at + outer_length + BASE_LENGTH, inner.nexthdr, &inner.saddr,
			    &inner.daddr, INBOUND, &key);
	switch (judge(skb, entrance, &key, is_known, length)) {
	case PASS:
		break;
	case REFUSED:
		if (settings->role == ROLE_HOME_AGENT && !settings->partial)
			return drop(skb, REASON_NOT_REGISTERED, entrance->source, &inner.saddr);
		return LEAVE_IT;
	default:
		return LEAVE_IT;
	}
	ecn = ECN_AFTER >> (ecn_of(&inner) << 4 | outer_ecn << 2) & 15;
	if (ecn == ECN_DROPS)
		return drop(skb, REASON_CONGESTION, entrance->source, &inner.saddr);
	if (ecn != ecn_of(&inner)) {
		__u8 octet = (inner.flow_lbl[0] & 0xcf) | ecn << 4;

		if (bpf_skb_store_bytes(skb, at + outer_length + 1, &octet, 1,
					BPF_F_RECOMPUTE_CSUM))
			return TC_ACT_SHOT;
	}
	if (entrance->form == FORM_UDP) {
		__be16 type = bpf_htons(ETH_P_IPV6);

		if (bpf_skb_adjust_room(skb, -(int)sizeof(struct udp_header), BPF_ADJ_ROOM_MAC,
					FIXED | DECAP_L3_IPV6))
			return LEAVE_IT;
		if (at && bpf_skb_store_bytes(skb, 12, &type, 2, 0))
			return TC_ACT_SHOT;
	} else if (bpf_skb_adjust_room(skb, -BASE_LENGTH, BPF_ADJ_ROOM_MAC, FIXED)) {
		return TC_ACT_SHOT;
	}
	return deliver(settings);
}

static __always_inline int from_ipv6_tunnel(struct __sk_buff *skb,
					    const struct settings *settings, __u32 at,
					    const struct ipv6hdr *outer)
{
	struct entrance entrance = { .form = FORM_TUNNEL };

	copy_address(entrance.source, &outer->saddr);
	copy_address(entrance.destination, &outer->daddr);
	return from_tunnel(skb, settings, at, BASE_LENGTH, ecn_of(outer), &entrance);
}

static __always_inline void copy_ipv4(__u8 *to, const void *from)
{
	to[10] = to[11] = 0xff;
	__builtin_memcpy(to + 12, from, 4);
}

static __always_inline int from_udp(struct __sk_buff *skb, const struct settings *settings,
				    __u32 at)
{
	struct entrance entrance = { .form = FORM_UDP };
	struct udp_header outer;

	if (bpf_skb_load_bytes(skb, at, &outer, sizeof(outer)) || outer.ip.ihl != 5 ||
	    outer.ip.protocol != IPPROTO_UDP || outer.ip.frag_off & bpf_htons(0x3fff) ||
	    (outer.udp.dest != bpf_htons(ENCAPSULATION_PORT) &&
	     outer.udp.source != bpf_htons(ENCAPSULATION_PORT)))
		return LEAVE_IT;
	copy_ipv4(entrance.source, &outer.ip.saddr);
	copy_ipv4(entrance.destination, &outer.ip.daddr);
	entrance.source_port = outer.udp.source;
	return from_tunnel(skb, settings, at, sizeof(outer), outer.ip.tos & 3, &entrance);
}

static __always_inline bool has_home_address(const struct extension *extension)
{
	const __u8 *start = extension->start;

	return extension->length == 2 && start[0] == 1 && start[1] == 2 && start[4] == 201 &&
	       start[5] == 16;
}

static __always_inline bool has_segment_left(const struct extension *extension)
{
	const __u8 *start = extension->start;

	return extension->length == 2 && start[0] == 2 && start[1] == 1;
}

/*
 * Take a packet that came straight, with a home address in an extension header.
 */
static __always_inline int from_peer(struct __sk_buff *skb, const struct settings *settings,
				     __u32 at, const struct ipv6hdr *outer)
{
	__u32 length = skb->len - at - sizeof(struct extension);
	struct entrance entrance = {};
	struct ipv6hdr header = *outer;
	struct extension extension;
	struct flow_key key;
	bool is_known;

	if (bpf_skb_load_bytes(skb, at + BASE_LENGTH, &extension, sizeof(extension)) ||
	    bpf_ntohs(outer->payload_len) + BASE_LENGTH + at != skb->len)
		return LEAVE_IT;
	if (outer->nexthdr == IPPROTO_DSTOPTS && has_home_address(&extension)) {
		entrance.form = FORM_HOME_ADDRESS;
		copy_address(entrance.source, &outer->saddr);
		copy_address(&header.saddr, extension.home);
	} else if (outer->nexthdr == IPPROTO_ROUTING && has_segment_left(&extension)) {
		entrance.form = FORM_ROUTING_HEADER;
		copy_address(&header.daddr, extension.home);
	} else {
		return LEAVE_IT;
	}
	copy_address(entrance.home, extension.home);
	copy_address(entrance.destination, &outer->daddr);
	is_known = read_key(skb, at + BASE_LENGTH + sizeof(extension), extension.next,
			    &header.saddr, &header.daddr, INBOUND, &key);
	/* Without a key it may be signalling, which is nothing for whoever has no daemon. */
	if (!is_known || judge(skb, &entrance, &key, is_known, length) != PASS)
		return LEAVE_IT;
	header.nexthdr = extension.next;
	header.payload_len = bpf_htons(length - BASE_LENGTH);
	if (bpf_skb_adjust_room(skb, -(int)sizeof(extension), BPF_ADJ_ROOM_NET, FIXED) ||
	    bpf_skb_store_bytes(skb, at, &header, sizeof(header), BPF_F_RECOMPUTE_CSUM))
		return TC_ACT_SHOT;
	return deliver(settings);
}

/*
 * Take whatever came in by an uplink whose link-layer header has `at` octets.
 */
static __always_inline int inbound(struct __sk_buff *skb, __u32 at)
{
	struct settings *settings = the_settings();
	struct ipv6hdr outer;

	if (!settings || !settings->role)
		return LEAVE_IT;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return from_udp(skb, settings, at);
	if (skb->protocol != bpf_htons(ETH_P_IPV6) ||
	    bpf_skb_load_bytes(skb, at, &outer, sizeof(outer)) || !is_ipv6(&outer))
		return LEAVE_IT;
	if (settings->role == ROLE_HOME_AGENT && !is_same_address(&outer.daddr, settings->address))
		return LEAVE_IT;
	switch (outer.nexthdr) {
	case IPPROTO_IPV6:
		return from_ipv6_tunnel(skb, settings, at, &outer);
	case IPPROTO_DSTOPTS:
	case IPPROTO_ROUTING:
		return from_peer(skb, settings, at, &outer);
	default:
		return LEAVE_IT;
	}
}

#endif
