/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/* Reading a packet: its flow, its size, its ECN field. */
#ifndef MCOA_PACKET_H
#define MCOA_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "fast_path.h"

#define BASE_LENGTH 40
#define HOP_LIMIT 64
#define LARGEST_PAYLOAD 65535
#define MOBILITY_HEADER 135
#define ECHO_REQUEST 128
#define ECHO_REPLY 129

static __always_inline void copy_address(void *to, const void *from)
{
	__builtin_memcpy(to, from, 16);
}

static __always_inline bool is_same_address(const void *one, const void *other)
{
	const __u64 *a = one, *b = other;

	return a[0] == b[0] && a[1] == b[1];
}

/* No multicast, link-local, unspecified or loopback address crosses a router. */
static __always_inline bool may_be_forwarded(const struct in6_addr *address)
{
	const __u8 *octets = (const void *)address;
	const __be32 *words = (const void *)address;

	if (octets[0] == 0xff || (octets[0] == 0xfe && (octets[1] & 0xc0) == 0x80))
		return false;
	return words[0] || words[1] || words[2] || bpf_ntohl(words[3]) > 1;
}

static __always_inline bool is_ipv6(const struct ipv6hdr *header)
{
	return header->version == 6;
}

/* The ECN field lies in the lower half of the second octet's upper half. */
static __always_inline __u8 ecn_of(const struct ipv6hdr *header)
{
	return header->flow_lbl[0] >> 4 & 3;
}

static __always_inline __u32 packets_in(const struct __sk_buff *skb)
{
	return skb->gso_segs ? skb->gso_segs : 1;
}

/*
 * Fill in the key of a packet whose upper layer is `protocol`, at `offset`. False for packets
 * whose flow only their header chain tells, and for those that each are to be looked at.
 */
static __always_inline bool read_key(struct __sk_buff *skb, __u32 offset, __u8 protocol,
				     const void *source, const void *destination,
				     __u8 direction, struct flow_key *key)
{
	struct {
		__u8 type, code;
		__be16 checksum, identifier;
	} echo;

	__builtin_memset(key, 0, sizeof(*key));
	copy_address(key->source, source);
	copy_address(key->destination, destination);
	key->protocol = protocol;
	key->direction = direction;
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_DCCP:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE:
		return !bpf_skb_load_bytes(skb, offset, &key->source_port, 4);
	case IPPROTO_ICMPV6:
		if (bpf_skb_load_bytes(skb, offset, &echo, sizeof(echo)))
			return false;
		key->source_port = bpf_htons(echo.type);
		key->destination_port = echo.identifier;
		return echo.type == ECHO_REQUEST || echo.type == ECHO_REPLY;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
	case IPPROTO_IPV6:
	case MOBILITY_HEADER:
		return false;
	default:
		return true;
	}
}

/*
 * The length of the largest packet that becomes of this one when it is cut to the segments
 * of its sender; 0 for one that cannot be told.
 */
static __always_inline __u32 largest_segment(struct __sk_buff *skb, __u32 length, __u32 offset,
					     __u8 protocol)
{
	__u8 words;

	if (!skb->gso_size)
		return length;
	if (protocol == IPPROTO_UDP)
		return BASE_LENGTH + sizeof(struct udphdr) + skb->gso_size;
	if (protocol != IPPROTO_TCP || bpf_skb_load_bytes(skb, offset + 12, &words, 1))
		return 0;
	return BASE_LENGTH + (words >> 4) * 4 + skb->gso_size;
}

#endif
