/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/types.h>

/* Plugins/TCEgress/Core packs these: change both, and the tests will tell. */

/* A bit for each thing that a packet may match: first what is control traffic, then the classes, in order. */
#define EGRESS_WORDS      4
#define EGRESS_CONTROLS   64
#define EGRESS_MARK_MASKS 4
#define EGRESS_CGROUPS    32

struct egress_bits {
    __u64 words[EGRESS_WORDS];
};

/* Keys of the tries; of IPv4 the first four bytes of the address. */
struct egress_prefix_v4 {
    __u32 length;
    __u8 address[4];
};

struct egress_prefix_v6 {
    __u32 length;
    __u8 address[16];
};

/* What is known of the longest prefix that an address is in, shorter ones included. */
struct egress_prefix {
    struct egress_bits match;
    /* 1 + the number of the reason for which it is blocked, else 0. */
    __u32 block;
    __u8 allowed;
    /* One of our own sources. */
    __u8 own;
    __u16 unused;
};

struct egress_mark {
    __u32 mask;
    __u32 value;
};

/* The manager's `sluice:cgroup` value: zeros while there is no such cgroup. */
struct egress_cgroup {
    __u64 id;
    __u32 level;
    __u32 unused;
};

/* From the lower byte of a port to a set of bits, for all ports with the same upper byte. */
struct egress_port_page {
    __u16 sets[256];
};

/* What is done with the packets of a class. */
struct egress_class {
    /* Policing: ns from packet to packet, or from byte to byte, times 2^SLUICE_COST_SHIFT; 0 for none. */
    __u64 cost;
    /* How many ns early a packet may be. */
    __u64 tolerance;
    /* How many ns off the cell may be at most; more is of a generation with other numbers. */
    __u64 reach;
    /* Pacing: ns from byte to byte, likewise; 0 for none. */
    __u64 pace;
    /* ns from sample to sample; 0 for none. */
    __u64 sample;
    /* The place of its cell. */
    __u32 slot;
    __u32 mark;
    __u32 mark_mask;
    /* The largest segment that a SYN may ask for; 0 to leave it. */
    __u16 mss;
    __u8 by_bytes;
    /* The code point times four, and 1; 0 to leave it. */
    __u8 service;
};

/* What a class remembers; times are in ns. A cache line, so that classes do not share any. */
struct egress_cell {
    /* When the bucket is full again. */
    __u64 due;
    /* When the next packet may leave. */
    __u64 departure;
    /* When the next sample may be taken. */
    __u64 sample;
    __u64 unused[5];
};

/* What became of the packets of a class. The first two are those that went on. */
struct egress_class_count {
    __u64 packets;
    __u64 bytes;
    __u64 policed;
    __u64 policed_bytes;
    __u64 late;
    __u64 late_bytes;
    /* Malformed, spoofed or blocked. */
    __u64 refused;
    __u64 rewritten;
    /* Samples that found no room in the ring. */
    __u64 unsampled;
};

/* What became of a packet, and why. From EGRESS_MALFORMED on it is dropped. */
enum egress_reason {
    EGRESS_PASSED,
    EGRESS_ALLOWED,
    EGRESS_CONTROL,
    EGRESS_NOT_IP,
    EGRESS_MALFORMED_PASSED,
    EGRESS_MALFORMED,
    EGRESS_SPOOFED,
    EGRESS_BLOCKED,
    EGRESS_POLICED,
    EGRESS_LATE,
    EGRESS_REASONS,
};

/* A record of the ring. */
struct egress_sample {
    /* How many packets of the class this CPU has seen. */
    __u64 seen;
    __u32 cpu;
    __u32 length;
    __u32 mark;
    __u16 class;
    __u8 reason;
    __u8 family;
    __u8 source[16];
    __u8 destination[16];
    __u16 source_port;
    __u16 destination_port;
    __u8 protocol;
    __u8 service;
    __u16 unused;
};
