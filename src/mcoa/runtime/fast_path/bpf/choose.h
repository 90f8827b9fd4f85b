/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/* Which way a packet takes, and whether there is somebody to ask. */
#ifndef MCOA_CHOOSE_H
#define MCOA_CHOOSE_H

#include "maps.h"
#include "packet.h"

/* What this filter does not know: the next one or the device's reader has it. */
#define LEAVE_IT TC_ACT_UNSPEC

/*
 * Have the daemon take the packet, if there is one; come back if there is none.
 */
static __always_inline void ask_daemon(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &attended, 0);
}

static __always_inline struct flow *flow_of(const struct flow_key *key)
{
	__u32 *number = bpf_map_lookup_elem(&flows, key);

	return number ? bpf_map_lookup_elem(&flow_states, number) : NULL;
}

static __always_inline void note(struct flow *flow, __u64 packets, __u64 octets)
{
	flow->seen_ns = bpf_ktime_get_coarse_ns();
	/* Mostly one processor has a flow; and nobody is charged by these. */
	flow->packets += packets;
	flow->octets += octets;
}

/* The home address of a packet that leaves, and what it is bound together with. */
static __always_inline void read_home(const struct settings *settings,
				      const struct ipv6hdr *header, struct home_key *key)
{
	__builtin_memset(key, 0, sizeof(*key));
	if (settings->role == ROLE_MOBILE_NODE) {
		copy_address(key->home, &header->saddr);
		return;
	}
	copy_address(key->home, &header->daddr);
	if (settings->role == ROLE_CORRESPONDENT)
		copy_address(key->own, &header->saddr);
}

static __always_inline __u32 spread(const struct flow_key *key)
{
	const __u32 *words = (const void *)key;
	__u32 sum = 0;

#pragma unroll
	for (__u32 i = 0; i < sizeof(*key) / sizeof(*words); i++)
		sum = (sum ^ words[i]) * 0x9e3779b1;
	return sum >> 16;
}

/*
 * Without a daemon: one of the ways of a home address that takes packets, the same one for
 * all packets of a flow as long as the ways are the same.
 */
static __always_inline struct way *any_way(const struct settings *settings,
					   const struct ipv6hdr *header,
					   const struct flow_key *key, __u32 segment)
{
	struct home_key home_key;
	struct home *home;
	__u32 first;

	read_home(settings, header, &home_key);
	home = bpf_map_lookup_elem(&homes, &home_key);
	if (!home || !home->equals)
		return NULL;
	first = spread(key);
#pragma unroll
	for (__u32 i = 0; i < WAYS_OF_A_HOME; i++) {
		__u32 at = i < home->equals ? (first + i) % home->equals : i;
		struct way *way = way_of(home->ways[at % WAYS_OF_A_HOME]);

		if (way && segment <= way->room)
			return way;
	}
	return NULL;
}

/*
 * Count a drop, and tell the daemon of it unless that was done a moment ago.
 */
static __always_inline int drop(struct __sk_buff *skb, __u32 reason, const void *outer_source,
				const void *inner_source)
{
	struct drop *entry = bpf_map_lookup_elem(&drops, &reason);
	struct exception *exception;
	__u64 now = bpf_ktime_get_ns();

	if (!entry)
		return TC_ACT_SHOT;
	add(&entry->packets, packets_in(skb));
	if (now - entry->told_ns < 100000000)
		return TC_ACT_SHOT;
	entry->told_ns = now;
	exception = bpf_ringbuf_reserve(&exceptions, sizeof(*exception), 0);
	if (!exception)
		return TC_ACT_SHOT;
	exception->reason = reason;
	exception->device = skb->ifindex;
	copy_address(exception->outer_source, outer_source);
	copy_address(exception->inner_source, inner_source);
	bpf_ringbuf_submit(exception, 0);
	return TC_ACT_SHOT;
}

#endif
