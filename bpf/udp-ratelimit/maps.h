/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "types.h"

/* Set before load. What is off is not there: the verifier deletes it. */

/* Whether any destination is a single address, or a prefix of more. */
const volatile __u8 has_addresses_v4 = 0;
const volatile __u8 has_addresses_v6 = 0;
const volatile __u8 has_prefixes_v4 = 0;
const volatile __u8 has_prefixes_v6 = 0;
/* Whether only some destination ports are limited, and a bit for each that is. */
const volatile __u8 has_ports = 0;
const volatile __u64 ports[65536 / 64] = {};
/* What becomes of a packet that finds no place in the shared table. */
const volatile __u32 when_full = SLUICE_FULL_PASS;
/* How many ns a limit may put a bucket off. */
const volatile __u64 furthest = 0;
/* Sets of shared buckets less one, and of offenders: masks. */
const volatile __u32 last_bucket_set = 0;
const volatile __u32 last_offender_set = 0;

/* Destinations. Of an address alone, and of prefixes: the longest that it is in. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct udp_place);
} addresses_v4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct udp_address);
    __type(value, struct udp_place);
} addresses_v6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct udp_prefix_v4);
    __type(value, struct udp_place);
} prefixes_v4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct udp_prefix_v6);
    __type(value, struct udp_place);
} prefixes_v6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct udp_policy);
} policies SEC(".maps");

/*
 * Buckets of the addresses that the configuration lists, each with a place of its own that nobody else can take. A word
 * has part of its key's hash too: another configuration may give the place to another address, whose bucket is full.
 */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u64);
} own_buckets SEC(".maps") SLUICE_STATE;

/* The buckets of all others: destinations that are too many to list, and source prefixes. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 16384);
    __type(key, __u32);
    __type(value, struct udp_buckets);
} buckets SEC(".maps") SLUICE_STATE;

/* Makes their hash one that a sender cannot know; drawn by the first packet, never 0 then. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} bucket_secret SEC(".maps") SLUICE_STATE;

/* By the policy's id. They outlive generations. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 256);
    __type(key, __u32);
    __type(value, struct udp_override);
} overrides SEC(".maps") SLUICE_STATE;

/* Not 0 if there are any. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} overriding SEC(".maps") SLUICE_STATE;

/* By policy. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct udp_policy_count);
} policy_counters SEC(".maps");

/* By enum udp_reason. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, UDP_REASONS);
    __type(key, __u32);
    __type(value, struct sluice_count);
} reasons SEC(".maps");

/* Packets over a limit, by the place of the destination's own bucket. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct udp_drops);
} drops SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, struct udp_offenders);
} offenders SEC(".maps");
