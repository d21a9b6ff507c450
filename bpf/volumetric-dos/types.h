/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What the programs and Plugins/VolumetricDoS/Core lay out alike: change both, and the tests will tell. */

#include <linux/types.h>

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
};

#define DOS_BLOCK_WORDS 8
#define DOS_BLOCKS      20
#define DOS_WORDS       (DOS_BLOCKS * DOS_BLOCK_WORDS)
#define DOS_SUMMARIES   ((DOS_WORDS + 63) / 64)
#define DOS_MAX_RULES   (DOS_WORDS * 64)

/* A set of rules; alike blocks are one. */
struct dos_class {
    /* A bit for each word of 64 rules: whether any is in the set. */
    __u64 summary[DOS_SUMMARIES];
    __u16 blocks[DOS_BLOCKS];
};

struct dos_block {
    __u64 words[DOS_BLOCK_WORDS];
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
};

/* A rule, in the order of the bits. Those that count only, or are on trial, come behind all others. */
struct dos_rule {
    __u32 rank;
    __u16 action;
    /* Not 0: on trial, counts and decides nothing. */
    __u16 dry_run;
    /* Bytes of the payload that must be these, under the mask; of length 0 for none. */
    __u16 payload_offset;
    __u16 payload_length;
    __u8 payload[DOS_PAYLOAD_BYTES];
    __u8 payload_mask[DOS_PAYLOAD_BYTES];
};

/* What a rule did. */
struct dos_rule_count {
    /* That it dropped, let pass or only counted. */
    __u64 packets;
    __u64 bytes;
    /* Packets that it would have dropped or let pass if it, or the whole stage, were not in dry run. */
    __u64 dry_run;
};

/* A token bucket in one word (GCRA), so that one compare-and-exchange takes a token. */
struct dos_bucket {
    /* The theoretical arrival time of the next packet, in ns of CLOCK_MONOTONIC. */
    __u64 next;
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

/* What became of a packet, and why. Each packet has one reason, but DOS_FRAGMENT, which comes on top. */
enum dos_reason {
    DOS_PASSED,
    DOS_ALLOWED,
    DOS_RULE_PASSED,
    DOS_ARP,
    DOS_NDP,
    DOS_NOT_IP,
    DOS_FRAGMENT,
    DOS_MALFORMED_PASSED,
    /* From here on reasons to drop, each followed by that of a packet that would have been. */
    DOS_MALFORMED,
    DOS_MALFORMED_DRY_RUN,
    DOS_RULE,
    DOS_RULE_DRY_RUN,
    DOS_LIMIT,
    DOS_LIMIT_DRY_RUN,
    DOS_PREFIX_LIMIT, /* from version 1.1 on */
    DOS_PREFIX_LIMIT_DRY_RUN,
    DOS_REASONS,
};
