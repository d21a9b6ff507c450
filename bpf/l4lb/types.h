/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What the program and Plugins/L4LB/Core lay out alike: change both, and the tests will tell. */

#include <linux/types.h>

/* 128 bits in network byte order; IPv4 as ::ffff:a.b.c.d. */
struct l4lb_address {
    __u64 high;
    __u64 low;
};

/*
 * The one hash there is: step by step over 64-bit words. Its upper half is good; the lower is not.
 *
 *     l4lb_mix(hash, word): hash = (hash ^ word) * L4LB_MIX; return hash ^ hash >> 29;
 */
#define L4LB_MIX 0x9e3779b97f4a7c15ull

/*
 * Services are found by the destination address under each prefix length in use, the longest first. A host's prefix
 * has 128 bits, one of IPv4 those of the mapped address: 96 more than people write.
 */
#define L4LB_LENGTHS 4 /* of each family */

struct l4lb_length {
    struct l4lb_address mask; /* in network byte order */
    __u64 bits;               /* 0: no more lengths */
};

/*
 * What is for no VIP shall cost little: one bit here, of the prefix, before any look-up. Set for each prefix that has a
 * service; number `l4lb_mix(l4lb_mix(bits, high), low) >> L4LB_FILTER_SHIFT`, in word number / 64 the bit number % 64.
 */
#define L4LB_FILTER_SHIFT 50
#define L4LB_FILTER_WORDS ((1 << (64 - L4LB_FILTER_SHIFT)) / 64)

/* Key of `services_by_port`, for services of one port. */
struct l4lb_port_key {
    struct l4lb_address prefix;
    __u8 bits;
    __u8 protocol;
    __be16 port;
    __u32 reserved;
};

/*
 * Key of `vips`. There is an entry for each prefix and protocol with a service, and for each prefix that answers pings
 * one with IPPROTO_ICMP or IPPROTO_ICMPV6.
 */
struct l4lb_vip_key {
    struct l4lb_address prefix;
    __u8 bits;
    __u8 protocol;
    __u16 reserved;
    __u32 reserved2;
};

#define L4LB_RANGES 16

/* Port ranges in order, host byte order; those not in use end before they begin (first 1, last 0). */
struct l4lb_vip {
    __u16 first[L4LB_RANGES];
    __u16 last[L4LB_RANGES];
    __u16 service[L4LB_RANGES];
    /* Whose fragments these are: a later one has no port, so one service has all of a prefix and protocol. */
    __u16 fragments;
    /* Whether there is any range. */
    __u16 has_ranges;
};

enum l4lb_encapsulation {
    L4LB_GUE,
    L4LB_IPIP,
    L4LB_DIRECT,
};

enum l4lb_hashing {
    L4LB_FIVE_TUPLE,
    L4LB_SOURCE,
};

/* A service with what it needs of its pool. */
struct l4lb_service {
    __u32 table; /* the pool's first chunk in `tables` */
    __u32 mask;  /* its entries less one */
    __u8 encapsulation;
    __u8 hashing;
    __u8 quic;
    /* How many servers besides the first may be asked, 0 to L4LB_HOPS; 0 unless GUE. */
    __u8 hops;
    /* What encapsulation adds: L4LB_GUE_V4 and so on; 0 for direct. */
    __u16 overhead;
    __u16 reserved;
};

/*
 * A forwarding table: an entry for each value of the flow's hash, with the servers in the order that rendezvous hashing
 * gives them there. Servers by their number; 0 ends the ranking.
 *
 * Number of the entry: (hash >> 32) & mask.
 */
#define L4LB_RANKS 4
#define L4LB_CHUNK 1024 /* entries a value of `tables`; a smaller table is repeated to fill one */

struct l4lb_entry {
    __u16 servers[L4LB_RANKS];
};

struct l4lb_chunk {
    struct l4lb_entry entries[L4LB_CHUNK];
};

/*
 * A server's number, 1 to 4095, is its place in `servers` and `servers_live`, its name in the tunnel's header, and the
 * server id in QUIC connection ids. It must stay the server's whatever comes and goes.
 */
#define L4LB_SERVERS 4096

struct l4lb_server {
    struct l4lb_address address;
    /* Of the server's name, never 0: tells whether the word in `servers_live` is about this server. */
    __u32 tag;
    /* Its place in `server_counters`. */
    __u32 counter;
    /* The word until something else is said. */
    __u64 initial;
    __u8 family; /* 4 or 6; 0: no server of this number */
    __u8 weight; /* as configured, 0 to 100: what the one in its word is a part of; for the plugin */
    __u8 mac[6]; /* for direct */
};

/*
 * A server's word in `servers_live`: what changes while the stage is live. One write is one change.
 *
 *     tag << 32 | note << 24 | state << 16 | weight
 *
 * The note is the plugin's: what the operator said and what the checks found, of which the state is the outcome.
 */
enum l4lb_state {
    L4LB_ACTIVE,
    L4LB_FILLING,  /* takes new flows; whose entries these were is asked first for UDP */
    L4LB_DRAINING, /* keeps its flows, takes no new ones */
    L4LB_DOWN,     /* is not asked at all */
};

/*
 * The part of its entries that a server takes, those with
 *
 *     l4lb_mix(l4lb_mix(0, entry << 16 | server), 0) >> 49 < weight
 *
 * so that another weight moves only the entries between the two.
 */
#define L4LB_WEIGHT_SHIFT 49
#define L4LB_WEIGHT_ALL   (1 << (64 - L4LB_WEIGHT_SHIFT))

/* If none of four servers takes an entry, entries (entry + step * L4LB_PROBE_STEP) & mask are tried. */
#define L4LB_PROBES     8
#define L4LB_PROBE_STEP 0x9e3779b1u

/*
 * The tunnel's header (GUE, variant 0; outer UDP checksum 0). Behind the first four bytes private data:
 *
 *     magic, version << 4 | next, hops[3]
 *
 * hops: numbers of the servers to ask after the first, big-endian, 0 for none; next: the index of the one to ask if
 * whoever has the packet does not know its flow. If there is none, it keeps the packet.
 */
#define L4LB_GUE_MAGIC   0x5c
#define L4LB_GUE_VERSION 1
#define L4LB_HOPS        3

struct l4lb_gue {
    __u8 length; /* of what follows the first four bytes, in words; version and control bit 0 */
    __u8 protocol;
    __be16 flags;
    __u8 magic;
    __u8 next;
    __be16 hops[L4LB_HOPS];
};

/* Bits of IPv4's fragment field. */
#define L4LB_FRAGMENT_DF     0x4000
#define L4LB_FRAGMENT_MORE   0x2000
#define L4LB_FRAGMENT_OFFSET 0x1fff

/* Outer IP header, UDP and GUE. */
#define L4LB_GUE_V4  40
#define L4LB_GUE_V6  60
#define L4LB_IPIP_V4 20
#define L4LB_IPIP_V6 40

/*
 * A connection id that names its server: that of QUIC-LB, plaintext, with a server id of two bytes. First byte: the
 * upper three bits are `quic_config` (0 to 6), the others anything; then the server's number, big-endian; then at least
 * a byte of anything. Looked at in packets with short header and in Handshake packets of QUIC 1 and 2; all others, and
 * those that name no server, go by their hash.
 */
#define L4LB_QUIC_CONFIG_SHIFT 5
#define L4LB_QUIC_BYTES        4

/* Key of `quic_members`: a pool, by its table, and a server in it, which a connection id to the pool may name. */
struct l4lb_member {
    __u32 table;
    __u32 server;
};

/* What is checked from a source port, see `checks`. */
struct l4lb_check {
    struct l4lb_address server;
    struct l4lb_address vip;
    __be16 port; /* of the service; 0: nothing */
    __u16 reserved;
    __u32 reserved2;
};

/* The way to a server, as the kernel said when it was last asked. */
struct l4lb_route {
    __u64 asked; /* in ticks; 0 for never */
    __u32 interface;
    __u8 destination[6];
    __u8 source[6];
};

/* How many senders of too big packets were told in the current second. */
struct l4lb_told {
    __u64 second;
    __u64 count;
};

/* What became of a packet; `verdicts` counts them. Each packet for a VIP has one from L4LB_FORWARDED on. */
enum l4lb_verdict {
    /* On top. */
    L4LB_FRAGMENT,   /* went by its address pair */
    L4LB_ICMP_ERROR, /* went by the packet it quotes */
    L4LB_QUIC_ID,    /* went by connection id */
    L4LB_PROBED,     /* no server of its entry takes new flows: another entry's took it */
    L4LB_ALL_DOWN,   /* nobody takes it: as if its state were unknown */
    L4LB_UNROUTED,   /* no route or neighbour known: handed on as built, for the kernel to find it */
    /* Director. */
    L4LB_FORWARDED,
    L4LB_ECHO,
    L4LB_TOO_BIG,         /* dropped, its sender told */
    L4LB_TOO_BIG_LIMITED, /* dropped, its sender not told: too many already */
    L4LB_TOO_BIG_SILENT,  /* dropped: IPv4 without DF */
    L4LB_NO_SERVICE,      /* the VIP has none for it: handed on */
    L4LB_MALFORMED,       /* for a VIP: handed on */
    L4LB_EMPTY,           /* the pool has no server: handed on */
    /* Redirector: packets for this server, by tunnel or as the director's own share. Kept ones are handed on. */
    L4LB_KEPT_SYN,
    L4LB_KEPT_ESTABLISHED,
    L4LB_KEPT_COOKIE,
    L4LB_KEPT_CONNECTED,
    L4LB_KEPT_LAST, /* nobody else to ask */
    L4LB_ONWARD,    /* to the next hop */
    L4LB_FOREIGN,   /* a tunnel's packet that is none of ours: handed on as it is */
    /* Not for a VIP. */
    L4LB_CHECK_ANSWER, /* of a VIP to a health check through the tunnel: handed on */
    L4LB_CHECK_ASTRAY, /* of the server itself: the check did not go through the tunnel; dropped, so that it fails */
    L4LB_VERDICTS,
};

/* What else there is to say of a sampled packet. */
#define L4LB_SAMPLE_PLACE  3  /* bits: the place of whom it goes to in its way */
#define L4LB_SAMPLE_PAIR   4  /* went by its pair of addresses */
#define L4LB_SAMPLE_QUOTED 8  /* an ICMP error: the flow is the quoted one */
#define L4LB_SAMPLE_TUNNEL 16 /* came by tunnel */
#define L4LB_SAMPLE_V6     32

/* A packet that was sampled. */
struct l4lb_sample {
    /* Packets for VIPs that this CPU has seen so far: a sample stands for those since the CPU's last one. */
    __u64 seen;
    __u32 cpu;
    /* Of the frame as it came; 65535 for all that is longer. */
    __u16 length;
    /* Its number; 65535 for none. */
    __u16 service;
    struct l4lb_address source;
    struct l4lb_address destination;
    __be16 source_port;
    __be16 destination_port;
    /* The servers to ask, the first one first; 0 for nobody, and for the first of what came by tunnel. */
    __u16 way[1 + L4LB_HOPS];
    __u8 verdict; /* enum l4lb_verdict */
    __u8 protocol;
    __u8 tcp_flags;
    __u8 marks; /* L4LB_SAMPLE_... */
};
