/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <sluice/tc_stage.h>

#include "types.h"

/* Set before load. What is off is not there: the verifier deletes it. */

/* Where the IP header is unless there are VLAN tags: 14 behind Ethernet's, 0 where there is no link header. */
const volatile __u32 link_header = 14;
/* Whether segments that the device makes of a packet are counted, each with its headers. */
const volatile __u8 counts_segments = 1;
/* At tc-ingress the other side is the source. */
const volatile __u8 is_ingress = 0;
/* Whether a source must be one of ours. */
const volatile __u8 guards = 0;
/* Whether anything is asked of an address, of which family. */
const volatile __u8 sources_known_v4 = 0;
const volatile __u8 sources_known_v6 = 0;
const volatile __u8 destinations_known_v4 = 0;
const volatile __u8 destinations_known_v6 = 0;
/* Whether anything is asked of these. */
const volatile __u8 asks_protocol = 0;
const volatile __u8 asks_source_port = 0;
const volatile __u8 asks_destination_port = 0;
const volatile __u32 mark_masks_asked = 0;
const volatile __u32 cgroups_asked = 0;
const volatile __u32 mark_masks[EGRESS_MARK_MASKS] = {};
/* What matches when nothing is known of an address, a mark or a cgroup. */
const volatile struct egress_bits any_source = {};
const volatile struct egress_bits any_destination = {};
const volatile struct egress_bits any_mark = {};
const volatile struct egress_bits any_cgroup = {};
/* All bits in use, and how many words they take. */
const volatile struct egress_bits all = {};
const volatile __u32 words = 0;
/* How many of them are control traffic. */
const volatile __u32 controls = 0;
/* How many classes there are; those behind are for what is in none, and for what is not IP. */
const volatile __u32 class_count = 0;
/* Whether any class does so. */
const volatile __u8 polices = 0;
const volatile __u8 paces = 0;
const volatile __u8 marks = 0;
const volatile __u8 sets_service = 0;
const volatile __u8 clamps = 0;
const volatile __u8 samples_any = 0;
/* A packet that would leave more ns from now is dropped. */
const volatile __u64 horizon = 2000000000ull;

#define EGRESS_TRIE(name, key_type)                                                                                    \
    struct {                                                                                                           \
        __uint(type, BPF_MAP_TYPE_LPM_TRIE);                                                                           \
        __uint(max_entries, 1);                                                                                        \
        __uint(map_flags, BPF_F_NO_PREALLOC);                                                                          \
        __type(key, key_type);                                                                                         \
        __type(value, struct egress_prefix);                                                                           \
    } name SEC(".maps")

EGRESS_TRIE(sources_v4, struct egress_prefix_v4);
EGRESS_TRIE(sources_v6, struct egress_prefix_v6);
EGRESS_TRIE(destinations_v4, struct egress_prefix_v4);
EGRESS_TRIE(destinations_v6, struct egress_prefix_v6);

/* What matches by protocol. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 256);
    __type(key, __u32);
    __type(value, struct egress_bits);
} protocols SEC(".maps");

/* From the upper byte of a port to a page; 256 for source ports, 256 for destination ports. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 512);
    __type(key, __u32);
    __type(value, __u32);
} port_rows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct egress_port_page);
} port_pages SEC(".maps");

/* 0 is for packets without a source port, 1 for those without a destination port. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, struct egress_bits);
} port_sets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct egress_mark);
    __type(value, struct egress_bits);
} mark_matches SEC(".maps");

/* The manager finds them by their names, and again when they are made anew. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct egress_cgroup);
} cgroups SEC(".maps");

/* What matches by each of them. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct egress_bits);
} cgroup_matches SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct egress_class);
} classes SEC(".maps");

/* By a hash of the class's name, so that a class goes on where it was after a change of the others. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, struct egress_cell);
} cells SEC(".maps") SLUICE_STATE;

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, struct egress_class_count);
} class_counters SEC(".maps");

/* What became of the packets, by enum egress_reason. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, EGRESS_REASONS);
    __type(key, __u32);
    __type(value, struct sluice_count);
} reasons SEC(".maps");

/* By the reasons that blocks have. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sluice_count);
} block_counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 18);
} samples SEC(".maps");
