/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "count.h"

/* Tell buckets of one policy apart. */
enum udp_bucket_kind {
    UDP_OF_ADDRESS = 1,
    UDP_OF_PREFIX,
    UDP_OF_SOURCE,
};

/* A datagram's way through its policy's limits. */
struct udp_walk {
    struct udp_packet packet;
    struct udp_place place;
    struct udp_limits limits;
    __u64 now;
    /* How many ns any limit may put a bucket off. */
    __u64 furthest;
    /* Of the destination's bucket: its place in own_buckets, or the hash by which it is found in the shared table. */
    __u32 own;
    __u32 id;
    __u64 hash;
};

static __always_inline __u64 udp_hash(__u64 hash, __u32 id, __u32 kind, const struct udp_address *address)
{
    hash = sluice_mix(hash, (__u64)kind << 32 | id);
    hash = sluice_mix(hash, address->high);
    hash = sluice_mix(hash, address->low);
    return sluice_mix(hash, hash >> 32);
}

static __always_inline __u64 udp_cost(const struct udp_walk *walk, const struct udp_limit *limit)
{
    return (walk->packet.datagrams * limit->cost) >> SLUICE_COST_SHIFT;
}

/* A train puts a bucket off further than a datagram does. */
static __always_inline __s64 udp_reach(const struct udp_limit *limit)
{
    return limit->tolerance + ((UDP_TRAIN * limit->cost) >> SLUICE_COST_SHIFT) + SLUICE_NSEC_PER_SEC;
}

static __always_inline struct udp_buckets *udp_set(__u64 hash)
{
    __u32 index = hash & last_bucket_set;

    return bpf_map_lookup_elem(&buckets, &index);
}

/* How far off a bucket of one's own is; one whose word is another key's is full. */
static __always_inline __s64 udp_own_ahead(__u64 word, __u64 tag, __u64 now)
{
    return (word ^ tag) & ~SLUICE_TIME_MASK ? 0 : sluice_ahead(word, now);
}

static __always_inline enum sluice_taken udp_take_own(const struct udp_walk *walk, __u32 place, __u64 tag,
                                                      const struct udp_limit *limit)
{
    __u64 *bucket = bpf_map_lookup_elem(&own_buckets, &place);
    __u64 cost = udp_cost(walk, limit);

    tag &= ~SLUICE_TIME_MASK;
    if (!bucket)
        return SLUICE_TAKEN;
    for (int i = 0; i < SLUICE_TAKE_TRIES; i++) {
        __u64 word = *(volatile __u64 *)bucket;
        enum sluice_taken taken = sluice_take_ahead(bucket, word, udp_own_ahead(word, tag, walk->now), tag, walk->now,
                                                    cost, limit->tolerance, udp_reach(limit));

        if (taken != SLUICE_AGAIN)
            return taken;
    }
    return SLUICE_OVER;
}

/* Of the shared table. Not inline, as two kinds of keys have their buckets there. */
static __noinline int udp_take_shared(const struct udp_walk *walk, __u64 hash, const struct udp_limit *limit)
{
    struct udp_buckets *set = udp_set(hash);
    struct sluice_take take = {
        .hash = hash,
        .now = walk->now,
        .cost = udp_cost(walk, limit),
        .tolerance = limit->tolerance,
        .reach = udp_reach(limit),
        .when_full = when_full,
        .taken = SLUICE_AGAIN,
    };

    if (!set)
        return SLUICE_FULL;
    take.ways = set->ways;
    take.most = walk->furthest + take.reach;
    return sluice_take(&take);
}

/* How far off the bucket of the destination is, without taking anything. */
static __always_inline __s64 udp_address_ahead(const struct udp_walk *walk)
{
    __u64 tag = walk->hash & ~SLUICE_TIME_MASK, found;
    struct udp_buckets *set;

    if (walk->place.bits != UDP_SHARED) {
        __u64 *bucket = bpf_map_lookup_elem(&own_buckets, &walk->own);

        return bucket ? udp_own_ahead(*(volatile __u64 *)bucket, tag, walk->now) : 0;
    }
    set = udp_set(walk->hash);
    if (!set)
        return 0;
    found = sluice_tagged(set->ways, tag);
    return found ? sluice_ahead(set->ways[sluice_way(sluice_bit_number(found & -found))], walk->now) : 0;
}

/*
 * Whether it is the turn of the source's limit: when the destination has used up so much of its bucket. A source that
 * sends much to a destination that has enough to spare takes nothing from anybody.
 */
static __always_inline int udp_is_crowded(const struct udp_walk *walk, __u32 crowded)
{
    if (!crowded || !walk->limits.address.cost)
        return 1;
    return udp_address_ahead(walk) > (__s64)((walk->limits.address.tolerance >> 8) * crowded);
}
