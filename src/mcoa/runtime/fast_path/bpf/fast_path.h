/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * What the programs in the kernel and the daemon share: the layout of the maps.
 *
 * The daemon decides. What it has decided for a flow stands here, so that the packets that
 * follow need not come up to it: `flows` leads from a packet to a `flow`, that to a `way`.
 * `flow` and `way` lie in arrays that the daemon has in its memory, so a flow moves by one
 * store, and a path that is down takes no more packets after one store.
 *
 * mcoa/runtime/fast_path/layout.py has the same layout; a test compares the two.
 */
#ifndef MCOA_FAST_PATH_H
#define MCOA_FAST_PATH_H

#include <linux/types.h>

/* What a node is; it says which address of a packet is the home address. */
enum role {
	ROLE_NONE,	/* leave everything to the daemon */
	ROLE_HOME_AGENT,
	ROLE_MOBILE_NODE,
	ROLE_CORRESPONDENT,
};

/* How packets look on a way. */
enum form {
	FORM_NONE,
	FORM_TUNNEL,		/* IPv6 in IPv6 (RFC 2473) */
	FORM_UDP,		/* IPv6 in UDP in IPv4 (RFC 5555) */
	FORM_HOME_ADDRESS,	/* with a Home Address option (RFC 6275 6.3) */
	FORM_ROUTING_HEADER,	/* with a type 2 routing header (RFC 6275 6.4) */
	FORM_FRAME,		/* as they are, to a link-layer address (RFC 5648 5.6) */
};

/* Why a program dropped a packet by itself. */
enum reason {
	REASON_NOT_REGISTERED,	/* outer source is not registered for the inner source */
	REASON_CONGESTION,	/* congestion mark on a packet that does not know marks */
	REASONS,
};

enum {
	LAYOUT = 1,		/* another one for each other layout */
};

enum {
	OUTBOUND,		/* towards the other end of the path */
	INBOUND,
};

enum {
	/* A packet that comes in by another way, or on a way of another form: the daemon's. */
	FLOW_SAME_WAY = 1,
	FLOW_SAME_FORM = 2,
};

enum {
	WAYS_OF_A_HOME = 8,
};

struct settings {
	__u32 role;
	__u32 device;		/* the one that the daemon reads, usually mip0 */
	__u32 partial;		/* not everything that is bound stands in the maps */
	__u32 layout;		/* LAYOUT of the daemon that wrote all this */
	__u8 address[16];	/* of the home agent that this node is */
	__u32 entry;		/* where a tunnel packet came in that was taken at the device */
	__u32 unused;
};

/* The addresses of IPv4 stand as IPv4-mapped ones. */
struct way {
	__u32 form;
	__u32 room;		/* octets of the largest packet before its new header; 0: no use */
	__u32 device;		/* 0: as the routing tables say */
	__be16 source_port;
	__be16 destination_port;
	__u8 source[16];
	__u8 destination[16];
	/*
	 * Ethernet's header, to whoever is next on the device; zeros, to have it looked up. What
	 * waits for a neighbour on a link that has just lost its carrier waits for seconds, and
	 * TCP does not send again what it knows to wait in its own host.
	 */
	__u8 frame[16];
	__u64 packets_out;
	__u64 octets_out;
	__u64 packets_in;
	__u64 octets_in;
	__u64 heard_ns;		/* when something came in last, by CLOCK_MONOTONIC */
};

struct flow {
	__u32 way;
	__u32 flags;
	__u64 seen_ns;		/* when it had a packet last, by CLOCK_MONOTONIC */
	__u64 packets;
	__u64 octets;
};

/* For an echo, the ports are its type and its identifier; without ports, they are 0. */
struct flow_key {
	__u8 source[16];
	__u8 destination[16];
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 direction;
	__u16 unused;
};

/* What a packet that comes in has to be like; what a form leaves open is 0. */
struct entrance {
	__u8 home[16];
	__u8 source[16];
	__u8 destination[16];
	__u16 form;
	__be16 source_port;
};

/* A home address; at a correspondent together with the one of its own that it is bound for. */
struct home_key {
	__u8 home[16];
	__u8 own[16];
};

/*
 * The ways of a home address in their order; packets are spread over the first ones, of which
 * none comes before another, and take the others while none of those serves.
 */
struct home {
	__u32 equals;
	__u32 ways[WAYS_OF_A_HOME];
};

struct drop {
	__u64 packets;
	__u64 told_ns;
};

/* Said of a drop, a few times a second at most. */
struct exception {
	__u32 reason;
	__u32 device;
	__u8 outer_source[16];
	__u8 inner_source[16];
};

#endif
