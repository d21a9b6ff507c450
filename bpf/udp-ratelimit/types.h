/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What the programs and Plugins/UDPRateLimit/Core lay out alike: change both, and the tests will tell. */

#include <linux/types.h>

#include <sluice/buckets.h>

/* 128 bits in network byte order; IPv4 as ::ffff:a.b.c.d. */
struct udp_address {
    __u64 high;
    __u64 low;
};

/* A packet is over a limit if it comes more than `tolerance` ns before it is due. */
struct udp_limit {
    /* ns from one datagram to the next if they come evenly, times 2^SLUICE_COST_SHIFT; 0 for no limit. */
    __u64 cost;
    __u64 tolerance;
};

/* How many ns off the furthest is that a limit can put a bucket: a burst of 1000 seconds and a train of one a second.
 */
#define UDP_FURTHEST (2100 * SLUICE_NSEC_PER_SEC)

struct udp_limits {
    /* Of each destination address. */
    struct udp_limit address;
    /* Of each of the policy's destinations, as they are listed. */
    struct udp_limit prefix;
    /* Of each source prefix at each destination address. */
    struct udp_limit source;
};

enum udp_action {
    UDP_DROP,
    UDP_MARK,  /* the packet goes on, with a mark */
    UDP_COUNT, /* nothing else */
};

/* What the destinations of a policy have in common. */
struct udp_policy {
    /* Of its name. */
    __u32 id;
    __u32 mark;
    __u8 action; /* enum udp_action */
    /* Prefix lengths of sources. */
    __u8 v4;
    __u8 v6;
    __u8 reserved;
    /* The source's limit is asked when so much of the address's bucket is used up, in 256ths; 0 for always. */
    __u16 crowded;
    __u16 reserved2;
    struct udp_limits limits;
    /* The bits of a source that are its prefix. */
    struct udp_address source_v4, source_v6;
};

/* Where a destination's buckets are. */
struct udp_place {
    __u32 policy;
    /* In own_buckets: that of the prefix's first address, and that of the whole prefix. */
    __u32 first;
    __u32 whole;
    /* How many bits of an address tell its bucket from the first, or UDP_SHARED. */
    __u32 bits;
    /* A hash of the prefix: its bucket may have been another's in an earlier configuration. */
    __u32 prefix;
};

/* The addresses have their buckets in the table that is shared with all others of this kind. */
#define UDP_SHARED 0xffffffffu

struct udp_prefix_v4 {
    __u32 length;
    __u8 address[4];
};

struct udp_prefix_v6 {
    __u32 length;
    __u8 address[16];
};

/* A set of shared buckets. */
struct udp_buckets {
    __u64 ways[SLUICE_WAYS];
};

/* Rates that were changed while the stage is live, of the policy of this name: what has cost 0 is as configured. */
struct udp_override {
    /* When it ends, ns of CLOCK_TAI; 0 for never. */
    __u64 expiry;
    struct udp_limits limits;
    char name[64];
    __u64 added; /* s since 1970 */
    __u64 active;
};

/* What became of a policy's packets. */
struct udp_policy_count {
    __u64 admitted;
    /* Over the limit of a source, of an address, of a prefix. */
    __u64 source;
    __u64 address;
    __u64 prefix;
    /* Found no place in the shared table; besides what became of them. */
    __u64 full;
};

/* Packets that no policy is for. */
enum udp_reason {
    UDP_NO_POLICY,
    UDP_OTHER_PORT,
    UDP_NOT_UDP,
    UDP_NOT_IP,
    UDP_REASONS,
};

/* Packets over a limit, of as many addresses with buckets of their own. */
#define UDP_DROPS 64

struct udp_drops {
    __u64 packets[UDP_DROPS];
};

enum udp_offender_kind {
    UDP_SOURCE,      /* the prefix that packets came from */
    UDP_DESTINATION, /* an address without a bucket of its own */
};

/* Who had packets over a limit. The rarest of a set makes room for one that comes. */
struct udp_offender {
    /* A hash of what follows; 0 for nobody. */
    __u64 tag;
    /* At most, as it begins with what the one before had; and what that was. */
    __u64 packets;
    __u64 before;
    struct udp_address address;
    __u32 kind; /* enum udp_offender_kind */
    /* Of the prefix, which of IPv4 is one of ::ffff:0:0/96. */
    __u32 length;
};

#define UDP_OFFENDERS 4

struct udp_offenders {
    struct udp_offender ways[UDP_OFFENDERS];
};
