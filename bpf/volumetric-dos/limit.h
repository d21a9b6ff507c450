/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bits.h"
#include "maps.h"

/* More CPUs than this taking tokens of one bucket in the same nanoseconds: its key is over any limit. */
#define DOS_LIMIT_TRIES  8
#define DOS_NSEC_PER_SEC 1000000000ll

enum dos_taken {
    DOS_TAKEN,
    DOS_OVER,
    DOS_FULL,
    DOS_AGAIN,
};

/* How many ns off a bucket's time is; not above 0 for one that is full. */
static __always_inline __s64 dos_ahead(__u64 word, __u64 now)
{
    return (__s64)((word - now) << (64 - DOS_TIME_BITS)) >> (64 - DOS_TIME_BITS);
}

/* The sign of a word, hidden from the compiler, which makes branches of such bits: eight in a row are 256 ways to
 * verify.
 */
static __always_inline __u64 dos_sign(__u64 word)
{
    asm volatile("" : "+r"(word));
    return word >> 63;
}

/* A word whose sign says whether `word` is 0. */
static __always_inline __u64 dos_zero(__u64 word)
{
    __u64 negative = -word;

    asm volatile("" : "+r"(negative));
    return ~(word | negative);
}

/* 1 if a bucket's place is free: full, never used, or further off than any limit puts one. */
static __always_inline __u64 dos_is_free(__u64 word, __u64 now, __s64 most)
{
    __s64 ahead = dos_ahead(word, now);

    return dos_sign((ahead - 1) | (most - ahead) | dos_zero(word));
}

/*
 * Takes tokens from one bucket, by the generic cell rate algorithm: a packet conforms if it comes at most `tolerance`
 * before it is due; one that does not takes no token.
 */
static __always_inline enum dos_taken dos_take_tokens(__u64 *bucket, __u64 word, __u64 tag, __u64 now, __u64 cost,
                                                      __s64 tolerance)
{
    __s64 ahead = dos_ahead(word, now);

    /*
     * Full; or further off than this limit can put it, then a generation with other numbers did. The second is for CPUs
     * that read the clock in another order than they get here.
     */
    if (ahead < 0 || ahead > tolerance + (__s64)cost + DOS_NSEC_PER_SEC)
        ahead = 0;
    if (ahead > tolerance)
        return DOS_OVER;
    word = __sync_val_compare_and_swap(bucket, word, tag | ((now + ahead + cost) & DOS_TIME_MASK)) ^ word;
    return word ? DOS_AGAIN : DOS_TAKEN;
}

static __always_inline __u64 dos_mix(__u64 hash, __u64 word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

static __always_inline __u64 dos_hash(const struct dos_known *key)
{
    __u32 zero = 0;
    __u64 *secret = bpf_map_lookup_elem(&bucket_secret, &zero);
    __u64 hash;

    if (!secret)
        return 0;
    hash = *(volatile __u64 *)secret;
    if (!hash) {
        __u64 drawn = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32() | 1;

        hash = __sync_val_compare_and_swap(secret, 0, drawn);
        if (!hash)
            hash = drawn;
    }
    hash = dos_mix(hash, key->limit);
    hash = dos_mix(hash, key->source.high);
    hash = dos_mix(hash, key->source.low);
    hash = dos_mix(hash, key->destination.high);
    hash = dos_mix(hash, key->destination.low);
    return dos_mix(hash, hash >> 32);
}

/* The compiler knows that it is less, and the verifier does not. */
static __always_inline __u32 dos_way(__u32 way)
{
    asm volatile("" : "+r"(way));
    return way & (DOS_WAYS - 1);
}

/* A try to take tokens: again and again, until it is clear what comes of it. */
struct dos_try {
    struct dos_buckets *set;
    /* The bucket of a known key, in place of a set. */
    __u64 *known;
    __u64 hash;
    __u64 now;
    __u64 cost;
    __s64 tolerance;
    /* How far off a bucket may be at most. */
    __s64 most;
    __u32 when_full;
    enum dos_taken taken;
};

/* Takes from the key's own bucket, else from one that is free. */
static __always_inline enum dos_taken dos_try_set(const struct dos_try *try)
{
    __u64 tag = try->hash & ~DOS_TIME_MASK, own = 0, free = 0, word;
    __u32 way;

#pragma unroll
    for (int i = 0; i < DOS_WAYS; i++)
        own |= dos_sign(dos_zero((*(volatile __u64 *)&try->set->ways[i] ^ tag) & ~DOS_TIME_MASK)) << i;
    if (own) {
        way = dos_way(dos_bit_number(own & -own));
        word = *(volatile __u64 *)&try->set->ways[way];
        if ((word & ~DOS_TIME_MASK) != tag)
            return DOS_AGAIN;
        return dos_take_tokens(&try->set->ways[way], word, tag, try->now, try->cost, try->tolerance);
    }
#pragma unroll
    for (int i = 0; i < DOS_WAYS; i++)
        free |= dos_is_free(*(volatile __u64 *)&try->set->ways[i], try->now, try->most) << i;
    if (!free && try->when_full != DOS_FULL_EVICT)
        return DOS_FULL;
    way = dos_way(free ? dos_bit_number(free & -free) : try->hash >> 20);
    word = *(volatile __u64 *)&try->set->ways[way];
    /* Taken meanwhile, by this key perhaps. */
    if (free && !dos_is_free(word, try->now, try->most))
        return DOS_AGAIN;
    tag |= (try->now + try->cost) & DOS_TIME_MASK;
    return __sync_val_compare_and_swap(&try->set->ways[way], word, tag) == word ? DOS_TAKEN : DOS_AGAIN;
}

/* 1 ends the tries. A callback, so that it is verified once. */
static long dos_try_once(__u32 index, void *context)
{
    struct dos_try *try = context;

    (void)index;
    if (try->known)
        try->taken = dos_take_tokens(try->known, *(volatile __u64 *)try->known, 0, try->now, try->cost, try->tolerance);
    else if (try->set)
        try->taken = dos_try_set(try);
    return try->taken != DOS_AGAIN;
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

/* Takes what a packet costs: enum dos_taken. Global, so that the verifier walks it once and not from wherever it is
 * called. */
__attribute__((noinline)) int dos_take_of(struct dos_packet *packet, __u32 frame, __u32 place)
{
    const volatile struct dos_limit *limit = dos_limit_at(place);
    const volatile struct dos_address *source, *destination;

    if (!packet || !limit)
        return DOS_TAKEN;
    source = packet->family == 4 ? &limit->source_v4 : &limit->source_v6;
    destination = packet->family == 4 ? &limit->destination_v4 : &limit->destination_v6;

    /* One after the other: the stack is short. */
    union {
        struct dos_known key;
        struct dos_try try;
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
            return DOS_FULL;
    }
    in.try = (struct dos_try){
        .set = set,
        .known = bucket,
        .hash = hash,
        .now = bpf_ktime_get_ns(),
        .cost = ((1 + (frame - 1) * limit->by_bytes) * limit->cost) >> DOS_COST_SHIFT,
        .tolerance = limit->tolerance,
        .when_full = limit->when_full,
        .taken = DOS_AGAIN,
    };
    /* Of all limits and of this, which may have come later. */
    in.try.most = furthest + in.try.tolerance + in.try.cost + DOS_NSEC_PER_SEC;
    bpf_loop(DOS_LIMIT_TRIES, dos_try_once, &in.try, 0);
    return in.try.taken == DOS_AGAIN ? DOS_OVER : in.try.taken;
}

/* Whether a packet keeps a limit; what a full table means says the limit. */
static __always_inline int dos_conforms(struct dos_packet *packet, __u32 frame, __u32 place, int *full)
{
    const volatile struct dos_limit *limit;
    int taken = dos_take_of(packet, frame, place);

    if (taken != DOS_FULL)
        return taken == DOS_TAKEN;
    *full = 1;
    sluice_add(&reasons, DOS_LIMIT_FULL, frame);
    limit = dos_limit_at(place);
    return !limit || limit->when_full != DOS_FULL_DROP;
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
