/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <sluice/buckets.h>

#include "maps.h"

static __always_inline __u64 dos_hash(const struct dos_known *key)
{
    __u32 zero = 0;
    __u64 *secret = bpf_map_lookup_elem(&bucket_secret, &zero);
    __u64 hash;

    if (!secret)
        return 0;
    hash = sluice_secret(secret);
    hash = sluice_mix(hash, key->limit);
    hash = sluice_mix(hash, key->source.high);
    hash = sluice_mix(hash, key->source.low);
    hash = sluice_mix(hash, key->destination.high);
    hash = sluice_mix(hash, key->destination.low);
    return sluice_mix(hash, hash >> 32);
}

/* Where a limit is: with its number there in the lower bits. */
#define DOS_OF_STAGE 0u
#define DOS_OF_RULE  (1u << 16)
#define DOS_OF_LIVE  (2u << 16)

static __always_inline const volatile struct dos_limit *dos_limit_at(__u32 place)
{
    __u32 number = place & 0xffff;

    if (place & DOS_OF_RULE)
        return bpf_map_lookup_elem(&rule_limits, &number);
    if (place & DOS_OF_LIVE) {
        struct dos_live_rule *rule = bpf_map_lookup_elem(&live_rules, &number);

        return rule ? &rule->limit : 0;
    }
    return &limits[number & (DOS_LIMITS - 1)];
}

/* Takes what a packet costs: enum sluice_taken. Global, so that the verifier walks it once and not from wherever it is
 * called. */
__attribute__((noinline)) int dos_take_of(struct dos_packet *packet, __u32 frame, __u32 place)
{
    const volatile struct dos_limit *limit = dos_limit_at(place);
    const volatile struct dos_address *source, *destination;

    if (!packet || !limit)
        return SLUICE_TAKEN;
    source = packet->family == 4 ? &limit->source_v4 : &limit->source_v6;
    destination = packet->family == 4 ? &limit->destination_v4 : &limit->destination_v6;

    /* One after the other: the stack is short. */
    union {
        struct dos_known key;
        struct sluice_take try;
    } in = {
        .key.limit = limit->id,
        .key.source = {packet->source.high & source->high, packet->source.low & source->low},
        .key.destination = {packet->destination.high & destination->high, packet->destination.low & destination->low},
    };
    struct dos_buckets *set = 0;
    __u64 *bucket = 0, hash = 0;
    __u32 index;

    if (limit->has_known)
        bucket = bpf_map_lookup_elem(&known, &in.key);
    if (!bucket) {
        hash = dos_hash(&in.key);
        index = hash & last_bucket_set;
        set = bpf_map_lookup_elem(&buckets, &index);
        if (!set)
            return SLUICE_FULL;
    }
    in.try = (struct sluice_take){
        .ways = set ? set->ways : 0,
        .own = bucket,
        .hash = hash,
        .now = bpf_ktime_get_ns(),
        .cost = ((1 + (frame - 1) * limit->by_bytes) * limit->cost) >> SLUICE_COST_SHIFT,
        .tolerance = limit->tolerance,
        .when_full = limit->when_full,
        .taken = SLUICE_AGAIN,
    };
    in.try.reach = in.try.tolerance + in.try.cost + SLUICE_NSEC_PER_SEC;
    /* Of all limits and of this, which may have come later. */
    in.try.most = furthest + in.try.reach;
    return sluice_take(&in.try);
}

/* Whether a packet keeps a limit; what a full table means says the limit. */
static __always_inline int dos_conforms(struct dos_packet *packet, __u32 frame, __u32 place, int *full)
{
    const volatile struct dos_limit *limit;
    int taken = dos_take_of(packet, frame, place);

    if (taken != SLUICE_FULL)
        return taken == SLUICE_TAKEN;
    *full = 1;
    sluice_add(&reasons, DOS_LIMIT_FULL, frame);
    limit = dos_limit_at(place);
    return !limit || limit->when_full != SLUICE_FULL_DROP;
}

/* The stage's limits, `count` of them at most. */
static __always_inline enum dos_reason dos_try_limits(struct dos_packet *packet, __u32 frame, __u32 count)
{
#pragma unroll
    for (__u32 i = 0; i < DOS_LIMITS; i++) {
        struct dos_limit_count *counted;
        __u32 index = i;
        int full = 0, conforms;

        if (i >= count || !limits[i].id)
            break;
        conforms = dos_conforms(packet, frame, DOS_OF_STAGE | i, &full);
        if (conforms && !full)
            continue;
        counted = bpf_map_lookup_elem(&limit_counters, &index);
        if (counted) {
            counted->full += full;
            if (!conforms) {
                counted->packets++;
                counted->bytes += frame;
            }
        }
        if (!conforms)
            return DOS_LIMIT;
    }
    return DOS_PASSED;
}
