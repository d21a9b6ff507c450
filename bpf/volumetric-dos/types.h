/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What the programs and Plugins/VolumetricDoS/Core lay out alike: change both, and the tests will tell. */

#include <linux/types.h>

#include <sluice/buckets.h>

/* 128 bits in network byte order; IPv4 as ::ffff:a.b.c.d. */
struct dos_address {
    __u64 high;
    __u64 low;
};

/* The packet has ports: of TCP, UDP, UDP-Lite and SCTP the first fragment and the whole packet, not the later ones. */
#define DOS_KNOWS_PORTS 1
/* It has TCP flags, or an ICMP type and code, likewise. */
#define DOS_KNOWS_FLAGS 2
#define DOS_KNOWS_ICMP  4

/* In the lower two bits of dos_packet.service. */
#define DOS_WHOLE          0
#define DOS_FIRST_FRAGMENT 1
#define DOS_LATER_FRAGMENT 2

/* In place of a VLAN's number. */
#define DOS_NO_VLAN 0xffff

/* What rules are tried on. Numbers in host byte order. */
struct dos_packet {
    struct dos_address source;
    struct dos_address destination;
    __u8 family;   /* 4 or 6; 0 without addresses to rely on */
    __u8 protocol; /* IPPROTO_*, for IPv6 that behind the extension headers */
    __u8 known;    /* DOS_KNOWS_* */
    __u8 tcp_flags;
    __u8 ttl;       /* or hop limit */
    __u8 service;   /* DSCP * 4 + whether it is a fragment */
    __u16 vlans[2]; /* the outer and the inner one */
    __u16 source_port;
    __u16 destination_port;
    __u16 icmp; /* type * 256 + code */
    /* Of the IP packet: without Ethernet, and without the padding of a short frame. 65535 for all that is longer. */
    __u16 length;
    /* Where what follows the transport header is in the frame, and how long it is; 0 long for what has none to see. */
    __u16 payload;
    __u16 payload_length;
};

/*
 * Rules are compiled to what follows. A field of a packet is looked up and gives a class: all values that the same
 * rules agree to are one class. A class is the set of those rules, as a bit each, and a rule matches if its bit is in
 * the classes of all fields. Rules have their bits in an order of their own, those on the same fields together; where
 * they stand in the configuration is their rank.
 */
enum dos_field_number {
    DOS_SOURCE,
    DOS_DESTINATION,
    DOS_SOURCE_PORT, /* or ICMP type and code: no packet has both, no rule asks for both */
    DOS_DESTINATION_PORT,
    DOS_LENGTH,
    DOS_PROTOCOL,
    DOS_TCP_FLAGS,
    DOS_TTL,
    DOS_SERVICE,
    DOS_VLAN,
    DOS_INNER_VLAN,
    DOS_FIELDS,
};

#define DOS_BLOCK_WORDS 8
#define DOS_BLOCKS      20
#define DOS_WORDS       (DOS_BLOCKS * DOS_BLOCK_WORDS)
#define DOS_SUMMARIES   ((DOS_WORDS + 63) / 64)
#define DOS_MAX_RULES   (DOS_WORDS * 64)

/* Where to find what belongs to a field. */
struct dos_field {
    /* 0 when no rule asks for it; then there is nothing to look up. */
    __u32 used;
    /* Its first class in `classes`, and its first block in `blocks`. */
    __u32 classes;
    __u32 blocks;
    /* Its row in `rows`; of a field of 16 bits the row of rows. */
    __u32 row;
    /* The class of packets that do not have it. */
    __u32 none;
    __u32 reserved;
    /* The rules that ask for it, as summaries have them. */
    __u64 asking[DOS_SUMMARIES];
};

/* A set of rules; alike blocks are one. */
struct dos_class {
    /* A bit for each word of 64 rules: whether any is in the set. Where the rules are few enough, a bit for each rule.
     */
    __u64 summary[DOS_SUMMARIES];
    __u16 blocks[DOS_BLOCKS];
};

struct dos_block {
    __u64 words[DOS_BLOCK_WORDS];
};

/* What a word of 64 rules has in common. */
struct dos_word {
    /* The lowest of their ranks. */
    __u32 first_rank;
    /* A bit for each field that any of them asks for. */
    __u32 fields;
};

/* A class, or another row, for each value of a byte. */
struct dos_row {
    __u16 entries[256];
};

/*
 * Intervals of addresses: a search tree of eight keys a node, which are the last addresses of all but the last child.
 * Child c of node n is node 9n + c of the next level; below the last level are the leaves.
 */
#define DOS_NODE_KEYS  8
#define DOS_TREE_DEPTH 5

struct dos_tree {
    /* 0 for a tree of one leaf: `none`. */
    __u32 depth;
    /* The class of the field that addresses of this family have then. */
    __u32 none;
    /* The first node of each level in `nodes`, the first leaf in `leaves`. */
    __u32 levels[DOS_TREE_DEPTH];
    __u32 leaves;
};

enum dos_tree_number {
    DOS_SOURCE_V4,
    DOS_SOURCE_V6, /* by the upper half of the address */
    DOS_DESTINATION_V4,
    DOS_DESTINATION_V6,
    DOS_TREES,
};

struct dos_node {
    __u64 lasts[DOS_NODE_KEYS];
};

/* In place of a class: the number of a slice of `lows`, where the lower half of the address decides. */
#define DOS_LEAF_SLICE 0x8000

struct dos_leaf {
    __u16 classes[12]; /* nine in use */
};

struct dos_slice {
    __u32 first;
    __u32 count;
};

/* An interval of lower halves, from behind the one before. */
struct dos_low {
    __u64 last;
    __u64 class;
};

#define DOS_PAYLOAD_BYTES 16

enum dos_action {
    DOS_DROP,
    DOS_PASS,  /* the packet goes on, past the limits too */
    DOS_COUNT, /* nothing else: the rules behind decide */
    DOS_HOLD,  /* to a limit: what is over it is dropped, the rest is left to the stage's limits */
};

/* A rule, in the order of the bits. Those that count only, or are on trial, come behind all others. */
struct dos_rule {
    __u32 rank;
    __u16 action;
    /* Not 0: on trial, counts and decides nothing. */
    __u16 dry_run;
    /* Of DOS_HOLD: its number in `rule_limits`. */
    __u32 limit;
    /* The share of its packets that are sampled: of 2^32; 0 for none. */
    __u32 sample;
    /* Bytes of the payload that must be these, under the mask; of length 0 for none. */
    __u16 payload_offset;
    __u16 payload_length;
    __u8 payload[DOS_PAYLOAD_BYTES];
    __u8 payload_mask[DOS_PAYLOAD_BYTES];
};

/* The clock, as it was in a tick of the kernel. */
struct dos_tick {
    __u64 jiffies;
    __u64 now; /* ns of CLOCK_MONOTONIC */
};

/* What a rule did. */
struct dos_rule_count {
    /* That it dropped, let pass or only counted. */
    __u64 packets;
    __u64 bytes;
    /* Packets that it would have dropped or let pass if it, or the whole stage, were not in dry run. */
    __u64 dry_run;
    /* When it last did, or would have: ns of CLOCK_MONOTONIC, to within a tick. */
    __u64 last;
};

/*
 * A limit. Buckets are told apart by `id` and what the masks leave of a packet's addresses: nothing is one bucket for
 * all. Rates are fixed point, so that a byte may be less than a nanosecond.
 */
struct dos_limit {
    __u32 id; /* 0: no limit */
    __u8 by_bytes;
    __u8 when_full; /* enum sluice_when_full */
    /* Whether some of its buckets are in `known`. */
    __u8 has_known;
    __u8 reserved;
    /* ns from one packet, or byte, to the next if they come evenly, times 2^SLUICE_COST_SHIFT. */
    __u64 cost;
    /* How many ns early a packet may come. */
    __u64 tolerance;
    struct dos_address source_v4, source_v6, destination_v4, destination_v6;
};

/* A set of buckets, as <sluice/buckets.h> has them. */
struct dos_buckets {
    __u64 ways[SLUICE_WAYS];
};

/* The bucket of a key that is known beforehand: a word that holds the time only. */
struct dos_known {
    __u32 limit;
    __u32 reserved;
    struct dos_address source;
    struct dos_address destination;
};

/* What a limit did. */
struct dos_limit_count {
    /* Over it. */
    __u64 packets;
    __u64 bytes;
    /* Packets whose set of buckets was full. */
    __u64 full;
};

/* What live rules look at besides addresses, flags and payload. A packet that has not got it has DOS_ABSENT. */
enum dos_number {
    DOS_NUMBER_PROTOCOL,
    DOS_NUMBER_SOURCE_PORT,
    DOS_NUMBER_DESTINATION_PORT,
    DOS_NUMBER_LENGTH,
    DOS_NUMBER_FLAGS,
    DOS_NUMBER_TTL,
    DOS_NUMBER_DSCP,
    DOS_NUMBER_FRAGMENT, /* DOS_WHOLE ... */
    DOS_NUMBER_ICMP_TYPE,
    DOS_NUMBER_ICMP_CODE,
    DOS_NUMBER_VLAN,
    DOS_NUMBER_INNER_VLAN,
    DOS_NUMBER_FAMILY,
    DOS_NUMBERS = 16, /* a power of two, for the verifier */
};

#define DOS_ABSENT      0x10000
#define DOS_RANGES      4
#define DOS_CONDITIONS  8
#define DOS_LIVE_RULES  256
#define DOS_LIVE_WORDS  (DOS_LIVE_RULES / 64)
#define DOS_NAME_LENGTH 64

/* A number must be in one of the ranges; those not in use end before they begin. */
struct dos_condition {
    __u16 number;
    __u16 first[DOS_RANGES];
    __u16 last[DOS_RANGES];
};

/* A rule that was added to the stage while it was live. */
struct dos_live_rule {
    /* When it ends, ns of CLOCK_TAI; 0 for never. */
    __u64 expiry;
    struct dos_address source, source_mask, destination, destination_mask;
    struct dos_limit limit;
    /* The lower first. */
    __u32 order;
    __u32 sample;
    __u8 action;
    __u8 dry_run;
    __u8 flags;
    __u8 flags_mask;
    __u8 conditions;
    /* As in dos_rule. */
    __u8 payload_length;
    __u16 payload_offset;
    __u8 payload[DOS_PAYLOAD_BYTES];
    __u8 payload_mask[DOS_PAYLOAD_BYTES];
    struct dos_condition condition[DOS_CONDITIONS];
    char name[DOS_NAME_LENGTH];
    __u64 added; /* s since 1970 */
    __u64 freed; /* s since 1970, of a place that is free again; 0 for one in use */
};

/* Which places of `live_rules` are in use. One write makes a rule known, or all rules of a word. */
struct dos_live {
    __u64 words[DOS_LIVE_WORDS];
};

/* A prefix of the allow list, as an LPM trie wants its key. */
struct dos_prefix_v4 {
    __u32 length;
    __u8 address[4];
};

struct dos_prefix_v6 {
    __u32 length;
    __u8 address[16];
};

/* What became of a packet, and why. Each packet has one reason, but DOS_FRAGMENT and DOS_LIMIT_FULL, which come on top.
 */
enum dos_reason {
    DOS_PASSED,
    DOS_ALLOWED,
    DOS_RULE_PASSED,
    DOS_ARP,
    DOS_NDP,
    DOS_NOT_IP,
    DOS_FRAGMENT,
    DOS_LIMIT_FULL,
    DOS_MALFORMED_PASSED,
    /* From here on reasons to drop, each followed by that of a packet that would have been. */
    DOS_MALFORMED,
    DOS_MALFORMED_DRY_RUN,
    DOS_RULE,
    DOS_RULE_DRY_RUN,
    DOS_RULE_LIMIT,
    DOS_RULE_LIMIT_DRY_RUN,
    DOS_LIMIT,
    DOS_LIMIT_DRY_RUN,
    DOS_REASONS,
};

#define DOS_CAPTURED 112

/* A packet that was sampled. */
struct dos_sample {
    /* Packets that this CPU has judged so far: a sample stands for those since the CPU's last one. */
    __u64 seen;
    __u32 cpu;
    /* Of the frame; 65535 for all that is longer. */
    __u16 length;
    /* enum dos_reason. */
    __u8 reason;
    /* Bytes of the frame that follow. */
    __u8 captured;
    __u8 frame[DOS_CAPTURED];
};
