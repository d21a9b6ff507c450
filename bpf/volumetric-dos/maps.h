/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <sluice/xdp_stage.h>

#include "types.h"

/* Set before load. What is off is not there: the verifier deletes it. */

/* Words of 64 rules in use. */
const volatile __u32 rule_words = 0;
/* Whether any looks at the payload. */
const volatile __u8 rules_with_payload = 0;
/* How they are looked up. */
const volatile struct dos_field fields[DOS_FIELDS] = {};
const volatile struct dos_tree trees[DOS_TREES] = {};
/* Whether allow_v4 and allow_v6 hold any prefix. */
const volatile __u8 allows_v4 = 0;
const volatile __u8 allows_v6 = 0;
/* Drops nothing, counts what it would have dropped. */
const volatile __u8 dry_run = 0;
/* Lets malformed packets go on. */
const volatile __u8 passes_malformed = 0;
/* The limit of each source address: ns a packet, 0 for no limit, and how many ns early a packet may come. */
const volatile __u64 limit_interval = 0;
const volatile __u64 limit_tolerance = 0;

/* The sources that nothing is done to. */
struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct dos_prefix_v4);
    __type(value, __u8);
} allow_v4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct dos_prefix_v6);
    __type(value, __u8);
} allow_v6 SEC(".maps");

/* The rules, in the order of their bits. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_rule);
} rules SEC(".maps");

/* The lowest rank in each word of 64 rules. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} first_ranks SEC(".maps");

/* The classes of all fields, one field after the other. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_class);
} classes SEC(".maps");

/* What they consist of, likewise. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_block);
} blocks SEC(".maps");

/* From bytes to classes. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_row);
} rows SEC(".maps");

/* From addresses to classes. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_node);
} nodes SEC(".maps");

/* One for each node of the last levels. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_leaf);
} leaves SEC(".maps");

/* Parts of `lows`. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_slice);
} slices SEC(".maps");

/* Intervals within one upper half of an IPv6 address. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_low);
} lows SEC(".maps");

/* What each rule did, by its rank. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_rule_count);
} rule_counters SEC(".maps");

/* What became of the packets, by enum dos_reason. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, DOS_REASONS);
    __type(key, __u32);
    __type(value, struct sluice_count);
} reasons SEC(".maps");

/*
 * The bucket of each source address seen of late. The table forgets the sources unheard of for longest, before it is
 * quite full; one forgotten starts with a full bucket. Its size is the same in all versions, so that they share it.
 */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 131072);
    __type(key, struct dos_address);
    __type(value, struct dos_bucket);
} sources SEC(".maps") SLUICE_STATE;
