/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/* From the device to an uplink: a packet gets its new header, and leaves. */
#ifndef MCOA_OUTBOUND_H
#define MCOA_OUTBOUND_H

#include "choose.h"

#define ENCAPSULATION_PORT 4191
#define FAMILY_IPV4 2
#define FAMILY_IPV6 10
#define FIXED BPF_F_ADJ_ROOM_FIXED_GSO

/* An IPv6 packet after its base header, with a header of 24 octets that has a home address. */
struct extension {
	__u8 next;
	__u8 length;		/* in units of 8 octets, the first not counted: 2 */
	__u8 start[6];
	__u8 home[16];
};

struct udp_header {
	struct iphdr ip;
	struct udphdr udp;
};

static __always_inline void start_home_address(__u8 *start)
{
	start[0] = 1;		/* PadN of two octets of zeros */
	start[1] = 2;
	start[2] = start[3] = 0;
	start[4] = 201;		/* Home Address option, of 16 octets */
	start[5] = 16;
}

static __always_inline void start_routing_header(__u8 *start)
{
	start[0] = 2;		/* type 2, one segment left */
	start[1] = 1;
	start[2] = start[3] = start[4] = start[5] = 0;
}

static __always_inline int add_tunnel_header(struct __sk_buff *skb, const struct ipv6hdr *inner,
					     const struct way *way, __u32 length)
{
	struct ipv6hdr outer;

	/* Version, DSCP, ECN and flow label are the packet's own (RFC 6040 4.1, RFC 6438). */
	__builtin_memcpy(&outer, inner, 4);
	outer.payload_len = bpf_htons(length);
	outer.nexthdr = IPPROTO_IPV6;
	outer.hop_limit = HOP_LIMIT;
	copy_address(&outer.saddr, way->source);
	copy_address(&outer.daddr, way->destination);
	if (bpf_skb_adjust_room(skb, sizeof(outer), BPF_ADJ_ROOM_MAC,
				FIXED | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6))
		return -1;
	return bpf_skb_store_bytes(skb, 0, &outer, sizeof(outer), 0);
}

static __always_inline __u16 ipv4_checksum(const struct iphdr *header)
{
	const __u16 *words = (const void *)header;
	__u32 sum = 0;

#pragma unroll
	for (__u32 i = 0; i < sizeof(*header) / sizeof(*words); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline int add_udp_header(struct __sk_buff *skb, const struct ipv6hdr *inner,
					  const struct way *way, __u32 length)
{
	struct udp_header outer = {};

	outer.ip.version = 4;
	outer.ip.ihl = 5;
	outer.ip.tos = inner->priority << 4 | inner->flow_lbl[0] >> 4;
	outer.ip.tot_len = bpf_htons(length + sizeof(outer));
	/*
	 * Routers may fragment it: an error that says what a path takes is nothing that anybody
	 * could prove. Fragments are told apart by this (RFC 6864).
	 */
	outer.ip.id = bpf_get_prandom_u32();
	outer.ip.ttl = HOP_LIMIT;
	outer.ip.protocol = IPPROTO_UDP;
	__builtin_memcpy(&outer.ip.saddr, way->source + 12, 4);
	__builtin_memcpy(&outer.ip.daddr, way->destination + 12, 4);
	outer.ip.check = ipv4_checksum(&outer.ip);
	outer.udp.source = way->source_port;
	outer.udp.dest = way->destination_port;
	outer.udp.len = bpf_htons(length + sizeof(outer.udp));
	if (bpf_skb_adjust_room(skb, sizeof(outer), BPF_ADJ_ROOM_MAC,
				FIXED | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 |
				BPF_F_ADJ_ROOM_ENCAP_L4_UDP))
		return -1;
	return bpf_skb_store_bytes(skb, 0, &outer, sizeof(outer), 0);
}

/* The home address goes into an extension header, the care-of address into its place. */
static __always_inline int add_extension(struct __sk_buff *skb, const struct ipv6hdr *inner,
					 const struct way *way)
{
	bool is_ours = way->form == FORM_HOME_ADDRESS;
	struct ipv6hdr header = *inner;
	struct extension extension;

	extension.next = inner->nexthdr;
	extension.length = 2;
	if (is_ours) {
		start_home_address(extension.start);
		copy_address(extension.home, &inner->saddr);
		copy_address(&header.saddr, way->source);
		header.nexthdr = IPPROTO_DSTOPTS;
	} else {
		start_routing_header(extension.start);
		copy_address(extension.home, &inner->daddr);
		copy_address(&header.daddr, way->destination);
		header.nexthdr = IPPROTO_ROUTING;
	}
	header.payload_len = bpf_htons(bpf_ntohs(inner->payload_len) + sizeof(extension));
	if (bpf_skb_adjust_room(skb, sizeof(extension), BPF_ADJ_ROOM_NET, FIXED) ||
	    bpf_skb_store_bytes(skb, BASE_LENGTH, &extension, sizeof(extension), 0))
		return -1;
	return bpf_skb_store_bytes(skb, 0, &header, sizeof(header), 0);
}

/* Where a packet leaves, and to whom. */
struct exit {
	__u32 device;
	bool has_frame;
	bool has_next_hop;
	struct bpf_redir_neigh next;
};

static __always_inline int leave(struct __sk_buff *skb, const struct way *way, struct exit *exit)
{
	/* A device of layer 3 leaves no room for the header of one of layer 2. */
	if (bpf_skb_change_head(skb, ETH_HLEN, 0))
		return TC_ACT_SHOT;
	if (exit->has_frame) {
		if (bpf_skb_store_bytes(skb, 0, way->frame, ETH_HLEN, 0))
			return TC_ACT_SHOT;
		return bpf_redirect(exit->device, 0);
	}
	if (exit->has_next_hop)
		return bpf_redirect_neigh(exit->device, &exit->next, sizeof(exit->next), 0);
	return bpf_redirect_neigh(exit->device, NULL, 0, 0);
}

static __always_inline __u32 overhead(const struct way *way)
{
	switch (way->form) {
	case FORM_TUNNEL:
		return BASE_LENGTH;
	case FORM_UDP:
		return sizeof(struct udp_header);
	case FORM_FRAME:
		return 0;
	default:
		return sizeof(struct extension);
	}
}

/*
 * Look a way up in the routing tables, as a packet that came in by our device. False where
 * there is none, or one that takes less than `size`: the kernel says so to the daemon's packet.
 */
static __always_inline bool find_route(struct __sk_buff *skb, const struct way *way, __u32 size,
				       struct exit *exit)
{
	struct bpf_fib_lookup fib = {};
	long found;

	fib.tot_len = size;
	fib.ifindex = skb->ifindex;
	if (way->form == FORM_UDP) {
		fib.family = FAMILY_IPV4;
		fib.l4_protocol = IPPROTO_UDP;
		__builtin_memcpy(&fib.ipv4_src, way->source + 12, 4);
		__builtin_memcpy(&fib.ipv4_dst, way->destination + 12, 4);
	} else {
		fib.family = FAMILY_IPV6;
		fib.l4_protocol = way->form == FORM_TUNNEL ? IPPROTO_IPV6 : IPPROTO_ROUTING;
		copy_address(fib.ipv6_src, way->source);
		copy_address(fib.ipv6_dst, way->destination);
	}
	found = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return false;
	exit->device = fib.ifindex;
	exit->has_next_hop = true;
	/* The next hop of an IPv4 destination may be an IPv6 neighbour; then fib says so. */
	exit->next.nh_family = fib.family;
	if (fib.family == FAMILY_IPV4)
		exit->next.ipv4_nh = fib.ipv4_dst;
	else
		copy_address(exit->next.ipv6_nh, fib.ipv6_dst);
	return true;
}

/* What is in the network of our own address may be a neighbour of ours. */
static __always_inline bool may_be_near(const struct way *way, const void *destination)
{
	const __u64 *ours = (const void *)way->source, *theirs = destination;

	return *ours == *theirs;
}

static __always_inline bool find_exit(struct __sk_buff *skb, const struct ipv6hdr *inner,
				      const struct way *way, __u32 size, struct exit *exit)
{
	const void *destination = way->destination;

	exit->device = way->device;
	if (!way->device)
		return find_route(skb, way, size, exit);
	if (way->form == FORM_HOME_ADDRESS)
		destination = &inner->daddr;
	exit->has_frame = (way->frame[12] || way->frame[13]) &&
			  (way->form == FORM_FRAME || way->form == FORM_UDP ||
			   !may_be_near(way, destination));
	return true;
}

/*
 * Send a packet by a way that has room for it.
 */
static __always_inline int send_by(struct __sk_buff *skb, const struct ipv6hdr *inner,
				   struct way *way, __u32 length, __u32 segment)
{
	__u64 packets = packets_in(skb);
	__u64 octets = length + (packets - 1) * (segment - skb->gso_size);
	struct exit exit = {};
	int failed;

	if (!find_exit(skb, inner, way, segment + overhead(way), &exit))
		return LEAVE_IT;
	switch (way->form) {
	case FORM_FRAME:
		failed = 0;
		break;
	case FORM_TUNNEL:
		failed = add_tunnel_header(skb, inner, way, length);
		break;
	case FORM_UDP:
		failed = add_udp_header(skb, inner, way, length);
		break;
	case FORM_HOME_ADDRESS:
	case FORM_ROUTING_HEADER:
		failed = add_extension(skb, inner, way);
		break;
	default:
		return LEAVE_IT;
	}
	if (failed)
		return TC_ACT_SHOT;
	add(&way->packets_out, packets);
	add(&way->octets_out, octets);
	return leave(skb, way, &exit);
}

/*
 * Take a packet that routing sent to the device.
 */
static __always_inline int outbound(struct __sk_buff *skb, const struct settings *settings,
				    const struct ipv6hdr *inner)
{
	__u32 length = skb->len;
	struct flow_key key;
	struct flow *flow;
	struct way *way;
	__u32 segment;
	bool is_known;

	if (bpf_ntohs(inner->payload_len) + BASE_LENGTH != length ||
	    length + BASE_LENGTH > LARGEST_PAYLOAD)
		return LEAVE_IT;
	is_known = read_key(skb, BASE_LENGTH, inner->nexthdr, &inner->saddr, &inner->daddr,
			    OUTBOUND, &key);
	segment = largest_segment(skb, length, BASE_LENGTH, inner->nexthdr);
	if (!segment)
		return LEAVE_IT;
	flow = is_known ? flow_of(&key) : NULL;
	way = flow ? way_of(flow->way) : NULL;
	if (way && segment <= way->room) {
		note(flow, packets_in(skb), length);
		return send_by(skb, inner, way, length, segment);
	}
	ask_daemon(skb);
	if (!may_be_forwarded(&inner->saddr) || !may_be_forwarded(&inner->daddr))
		return LEAVE_IT;
	way = any_way(settings, inner, &key, segment);
	return way ? send_by(skb, inner, way, length, segment) : LEAVE_IT;
}

#endif
