/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * Token buckets, a word each: docs/decisions/0014-buckets-in-sets.md.
 *
 * A bucket is when the next packet is due (GCRA), in the lower 46 bits of ns of CLOCK_MONOTONIC, and part of the hash
 * of its key. A bucket whose time has come is full, as all are that nobody has used: its place is free. A set of eight
 * is a cache line, and a key has its place in one set. The time comes round every 19 hours: one that is older seems in
 * use then, for as long as a limit may put a bucket off.
 *
 * Costs are ns times 2^SLUICE_COST_SHIFT, so that what costs less than a nanosecond can be told.
 */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <sluice/bits.h>

#define SLUICE_WAYS       8
#define SLUICE_TIME_BITS  46
#define SLUICE_TIME_MASK  ((1ull << SLUICE_TIME_BITS) - 1)
#define SLUICE_COST_SHIFT 20

/* More CPUs than this taking tokens of one bucket in the same nanoseconds: its key is over any limit. */
#define SLUICE_TAKE_TRIES   8
#define SLUICE_NSEC_PER_SEC 1000000000ll

enum sluice_when_full {
    SLUICE_FULL_PASS,
    SLUICE_FULL_DROP,
    SLUICE_FULL_EVICT, /* some other bucket, which is full again then */
};

enum sluice_taken {
    SLUICE_TAKEN,
    SLUICE_OVER,
    SLUICE_FULL,
    SLUICE_AGAIN,
};

/* How many ns off a bucket's time is; not above 0 for one that is full. */
static __always_inline __s64 sluice_ahead(__u64 word, __u64 now)
{
    return (__s64)((word - now) << (64 - SLUICE_TIME_BITS)) >> (64 - SLUICE_TIME_BITS);
}

/* The sign of a word, hidden from the compiler, which makes branches of such bits: eight in a row are 256 ways to
 * verify.
 */
static __always_inline __u64 sluice_sign(__u64 word)
{
    asm volatile("" : "+r"(word));
    return word >> 63;
}

/* A word whose sign says whether `word` is 0. */
static __always_inline __u64 sluice_zero(__u64 word)
{
    __u64 negative = -word;

    asm volatile("" : "+r"(negative));
    return ~(word | negative);
}

/* 1 if a bucket's place is free: full, never used, or further off than any limit puts one. */
static __always_inline __u64 sluice_is_free(__u64 word, __u64 now, __s64 most)
{
    __s64 ahead = sluice_ahead(word, now);

    return sluice_sign((ahead - 1) | (most - ahead) | sluice_zero(word));
}

/*
 * Takes tokens from one bucket that holds `word` and is `ahead`, by the generic cell rate algorithm: a packet conforms
 * if it comes at most `tolerance` before it is due; one that does not takes no token.
 *
 * `reach` is how far off the limit can put a bucket: its tolerance, what a packet may cost, and a second for CPUs that
 * read the clock in another order than they get here.
 */
static __always_inline enum sluice_taken sluice_take_ahead(__u64 *bucket, __u64 word, __s64 ahead, __u64 tag, __u64 now,
                                                           __u64 cost, __s64 tolerance, __s64 reach)
{
    /* Full; or further off than this limit can put it, then a generation with other numbers did. */
    if (ahead < 0 || ahead > reach)
        ahead = 0;
    if (ahead > tolerance)
        return SLUICE_OVER;
    word = __sync_val_compare_and_swap(bucket, word, tag | ((now + ahead + cost) & SLUICE_TIME_MASK)) ^ word;
    return word ? SLUICE_AGAIN : SLUICE_TAKEN;
}

static __always_inline enum sluice_taken sluice_take_tokens(__u64 *bucket, __u64 word, __u64 tag, __u64 now, __u64 cost,
                                                            __s64 tolerance, __s64 reach)
{
    return sluice_take_ahead(bucket, word, sluice_ahead(word, now), tag, now, cost, tolerance, reach);
}

static __always_inline __u64 sluice_mix(__u64 hash, __u64 word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

/* What a hash begins with so that no sender can know it: drawn by the first packet, never 0 then. */
static __always_inline __u64 sluice_secret(__u64 *secret)
{
    __u64 hash = *(volatile __u64 *)secret;

    if (!hash) {
        __u64 drawn = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32() | 1;

        hash = __sync_val_compare_and_swap(secret, 0, drawn);
        if (!hash)
            hash = drawn;
    }
    return hash;
}

/* The compiler knows that it is less, and the verifier does not. */
static __always_inline __u32 sluice_way(__u32 way)
{
    asm volatile("" : "+r"(way));
    return way & (SLUICE_WAYS - 1);
}

/* The ways of a set that have this tag, as bits. */
static __always_inline __u64 sluice_tagged(const __u64 *ways, __u64 tag)
{
    __u64 own = 0;

#pragma unroll
    for (int i = 0; i < SLUICE_WAYS; i++)
        own |= sluice_sign(sluice_zero((*(volatile __u64 *)&ways[i] ^ tag) & ~SLUICE_TIME_MASK)) << i;
    return own;
}

/* A try to take tokens: again and again, until it is clear what comes of it. */
struct sluice_take {
    /* A set of buckets. */
    __u64 *ways;
    /* The bucket of a key that has its own, in place of a set. */
    __u64 *own;
    __u64 hash;
    __u64 now;
    __u64 cost;
    __s64 tolerance;
    /* How far off this limit can put a bucket, and any that has its buckets in the set. */
    __s64 reach;
    __s64 most;
    __u32 when_full;
    enum sluice_taken taken;
};

/* Takes from the key's own bucket, else from one that is free. */
static __always_inline enum sluice_taken sluice_take_of_set(const struct sluice_take *try)
{
    __u64 tag = try->hash & ~SLUICE_TIME_MASK, own, free = 0, word;
    __u32 way;

    own = sluice_tagged(try->ways, tag);
    if (own) {
        way = sluice_way(sluice_bit_number(own & -own));
        word = *(volatile __u64 *)&try->ways[way];
        if ((word & ~SLUICE_TIME_MASK) != tag)
            return SLUICE_AGAIN;
        return sluice_take_tokens(&try->ways[way], word, tag, try->now, try->cost, try->tolerance, try->reach);
    }
#pragma unroll
    for (int i = 0; i < SLUICE_WAYS; i++)
        free |= sluice_is_free(*(volatile __u64 *)&try->ways[i], try->now, try->most) << i;
    if (!free && try->when_full != SLUICE_FULL_EVICT)
        return SLUICE_FULL;
    way = sluice_way(free ? sluice_bit_number(free & -free) : try->hash >> 20);
    word = *(volatile __u64 *)&try->ways[way];
    /* Taken meanwhile, by this key perhaps. */
    if (free && !sluice_is_free(word, try->now, try->most))
        return SLUICE_AGAIN;
    tag |= (try->now + try->cost) & SLUICE_TIME_MASK;
    return __sync_val_compare_and_swap(&try->ways[way], word, tag) == word ? SLUICE_TAKEN : SLUICE_AGAIN;
}

/* 1 ends the tries. A callback, so that it is verified once. */
static long sluice_take_once(__u32 index, void *context)
{
    struct sluice_take *try = context;

    (void)index;
    if (try->own)
        try->taken = sluice_take_tokens(try->own, *(volatile __u64 *)try->own, 0, try->now, try->cost, try->tolerance,
                                        try->reach);
    else if (try->ways)
        try->taken = sluice_take_of_set(try);
    return try->taken != SLUICE_AGAIN;
}

/* `taken` must be SLUICE_AGAIN. */
static __always_inline enum sluice_taken sluice_take(struct sluice_take *try)
{
    bpf_loop(SLUICE_TAKE_TRIES, sluice_take_once, try, 0);
    return try->taken == SLUICE_AGAIN ? SLUICE_OVER : try->taken;
}
