/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What the programs and Plugins/VolumetricDoS/Core lay out alike: change both, and the tests will tell. */

#include <linux/types.h>

/* 128 bits in network byte order; IPv4 as ::ffff:a.b.c.d. */
struct dos_address {
    __u64 high;
    __u64 low;
};

/* Four properties side by side, so that one comparison under a mask tries all four. */
union dos_traits {
    struct {
        __u8 family;    /* 4 or 6 */
        __u8 protocol;  /* IPPROTO_*, for IPv6 that behind the extension headers */
        __u8 tcp_flags; /* 0 unless DOS_KNOWS_FLAGS */
        __u8 known;     /* DOS_KNOWS_* */
    };
    __u32 all;
};

/* The packet has ports: of TCP, UDP, UDP-Lite and SCTP the first fragment and the whole packet, not the later ones. */
#define DOS_KNOWS_PORTS 1
/* It has TCP flags, likewise. */
#define DOS_KNOWS_FLAGS 2

/* What rules are tried on. */
struct dos_packet {
    struct dos_address source;
    struct dos_address destination;
    union dos_traits traits;
    /* Host byte order. */
    __u16 source_port;
    __u16 destination_port;
    /* Of the IP packet: without Ethernet, and without the padding of a short frame. */
    __u32 length;
};

/* A range from `first` to `first + span`; all of them for 0 and the maximum. */
struct dos_ports {
    __u16 first;
    __u16 span;
};

struct dos_lengths {
    __u32 first;
    __u32 span;
};

/* All conditions must hold; a mask of zeros and a full range are no condition. */
struct dos_rule {
    union dos_traits traits;
    union dos_traits traits_mask;
    struct dos_address source;
    struct dos_address source_mask;
    struct dos_address destination;
    struct dos_address destination_mask;
    struct dos_ports source_ports;
    struct dos_ports destination_ports;
    struct dos_lengths lengths;
    /* Not 0: counts, and drops nothing. */
    __u32 dry_run;
    __u32 reserved;
};

/*
 * Rules are tried a block at a time: calling a function for each rule would cost more than trying it. What is not in
 * use of the last block is filled with rules of family 255, which no packet meets.
 */
#define DOS_BLOCK_RULES 16

struct dos_block {
    struct dos_rule rules[DOS_BLOCK_RULES];
};

/* What a rule did. */
struct dos_rule_count {
    /* Dropped. */
    __u64 packets;
    __u64 bytes;
    /* Packets that it, or the whole stage, would have dropped if it were not in dry run. */
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
