/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <sluice/xdp_stage.h>

#include "types.h"

/* Set before load. What is off is not there: the verifier deletes it. */

/* How many words of summaries are in use. */
const volatile __u32 summaries = 0;
/* Whether there are so few rules that a summary has a bit for each. */
const volatile __u8 few_rules = 0;
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
/* The stage's limits: each packet must keep all of them. Versions before 1.1 have the first only. */
#define DOS_LIMITS 8
const volatile struct dos_limit limits[DOS_LIMITS] = {};
/* How many ns a limit may put a bucket off, the stage's or a rule's: the most of all, and a second. */
const volatile __u64 furthest = 0;
/* Sets of buckets less one: a mask. */
const volatile __u32 last_bucket_set = 0;

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

/* Them by words of 64. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_word);
} words SEC(".maps");

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

/* What time it was when this CPU last asked. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_tick);
} ticks SEC(".maps");

/* What became of the packets, by enum dos_reason. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, DOS_REASONS);
    __type(key, __u32);
    __type(value, struct sluice_count);
} reasons SEC(".maps");

/* When each rule ends, by its rank: ns of CLOCK_TAI, 0 for never. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} rule_expiries SEC(".maps");

/* The limits of rules. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_limit);
} rule_limits SEC(".maps");

/* What each of the stage's limits did. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, DOS_LIMITS);
    __type(key, __u32);
    __type(value, struct dos_limit_count);
} limit_counters SEC(".maps");

/* The buckets of all limits. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 16384);
    __type(key, __u32);
    __type(value, struct dos_buckets);
} buckets SEC(".maps") SLUICE_STATE;

/* Makes their hash one that a sender cannot know; drawn by the first packet, never 0 then. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} bucket_secret SEC(".maps") SLUICE_STATE;

/* Buckets of keys known beforehand, whose places nobody else can take. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct dos_known);
    __type(value, __u64);
} known SEC(".maps");

/* The rules that were added while the stage was live. They outlive its generations. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_live);
} live SEC(".maps") SLUICE_STATE;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, DOS_LIVE_RULES);
    __type(key, __u32);
    __type(value, struct dos_live_rule);
} live_rules SEC(".maps") SLUICE_STATE;

/* What they did. Counts on from rule to rule of a place: whoever adds one notes where it began. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, DOS_LIVE_RULES);
    __type(key, __u32);
    __type(value, struct dos_rule_count);
} live_counters SEC(".maps") SLUICE_STATE;
