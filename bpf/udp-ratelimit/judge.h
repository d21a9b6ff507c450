/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "limit.h"

/* Finds the place of an IPv4 destination. */
static __always_inline struct udp_place *udp_find_v4(const struct udp_packet *packet)
{
    __u32 address = packet->destination.low >> 32;
    struct udp_place *place;

    if (has_addresses_v4) {
        place = bpf_map_lookup_elem(&addresses_v4, &address);
        if (place)
            return place;
    }
    if (has_prefixes_v4) {
        struct udp_prefix_v4 key = {.length = 32};

        __builtin_memcpy(key.address, &address, sizeof(key.address));
        return bpf_map_lookup_elem(&prefixes_v4, &key);
    }
    return 0;
}

static __always_inline struct udp_place *udp_find_v6(const struct udp_packet *packet)
{
    struct udp_place *place;

    if (has_addresses_v6) {
        struct udp_address key = packet->destination;

        place = bpf_map_lookup_elem(&addresses_v6, &key);
        if (place)
            return place;
    }
    if (has_prefixes_v6) {
        struct udp_prefix_v6 key = {.length = 128};

        __builtin_memcpy(key.address, &packet->destination, sizeof(key.address));
        return bpf_map_lookup_elem(&prefixes_v6, &key);
    }
    return 0;
}

/* The place of the address's own bucket: prefixes with own buckets differ in 20 bits at most. */
static __always_inline __u32 udp_own_place(const struct udp_walk *walk)
{
    __u32 last = bpf_ntohl(walk->packet.destination.low >> 32);

    return walk->place.first + (last & ((1u << (walk->place.bits & 31)) - 1));
}

/* Rates that were changed live, in the place of those configured. */
static __always_inline void udp_override(struct udp_walk *walk)
{
    __u32 zero = 0, id = walk->id;
    __u64 *any = bpf_map_lookup_elem(&overriding, &zero);
    struct udp_override *over;

    if (!any || !*(volatile __u64 *)any)
        return;
    walk->furthest = UDP_FURTHEST;
    over = bpf_map_lookup_elem(&overrides, &id);
    if (!over || !over->active || (over->expiry && bpf_ktime_get_tai_ns() >= over->expiry))
        return;
    if (over->limits.address.cost)
        walk->limits.address = over->limits.address;
    if (over->limits.prefix.cost)
        walk->limits.prefix = over->limits.prefix;
    if (over->limits.source.cost)
        walk->limits.source = over->limits.source;
}

/* Which of its policy's limits a datagram is over. */
enum udp_over {
    UDP_ADMITTED,
    UDP_OVER_SOURCE,
    UDP_OVER_ADDRESS,
    UDP_OVER_PREFIX,
};

/*
 * The source first: what one source sends too much is not to use up what the destination has for the others. What the
 * first drops does not count against those behind it.
 */
static __always_inline enum udp_over udp_try_limits(struct udp_walk *walk, const struct udp_policy *policy, int *full)
{
    const struct udp_address *mask = walk->packet.family == 4 ? &policy->source_v4 : &policy->source_v6;
    enum sluice_taken taken;

    if (walk->limits.source.cost && udp_is_crowded(walk, policy->crowded)) {
        struct udp_address source = {walk->packet.source.high & mask->high, walk->packet.source.low & mask->low};
        __u64 hash = udp_hash(udp_secret(), walk->id, UDP_OF_SOURCE, &walk->packet.destination);

        taken = udp_take_shared(walk, udp_hash(hash, walk->id, UDP_OF_SOURCE, &source), &walk->limits.source);
        if (taken == SLUICE_OVER)
            return UDP_OVER_SOURCE;
        /* The address's limit holds what comes of it. */
        *full |= taken == SLUICE_FULL;
    }
    if (walk->limits.address.cost) {
        if (walk->place.bits != UDP_SHARED) {
            taken = udp_take_own(walk, walk->own, walk->hash, &walk->limits.address);
        } else {
            taken = udp_take_shared(walk, walk->hash, &walk->limits.address);
            *full |= taken == SLUICE_FULL;
        }
        if (taken == SLUICE_OVER || (taken == SLUICE_FULL && when_full == SLUICE_FULL_DROP))
            return UDP_OVER_ADDRESS;
    }
    if (walk->limits.prefix.cost) {
        struct udp_address key = {.low = walk->place.prefix};

        if (udp_take_own(walk, walk->place.whole, udp_hash(0, walk->id, UDP_OF_PREFIX, &key), &walk->limits.prefix) ==
            SLUICE_OVER)
            return UDP_OVER_PREFIX;
    }
    return UDP_ADMITTED;
}

/* What is known of who sent too much, and to whom. */
static __always_inline void udp_count_over(const struct udp_walk *walk, const struct udp_policy *policy)
{
    const struct udp_address *mask = walk->packet.family == 4 ? &policy->source_v4 : &policy->source_v6;
    struct udp_address source = {walk->packet.source.high & mask->high, walk->packet.source.low & mask->low};

    udp_count_offender(&source, UDP_SOURCE, walk->packet.family == 4 ? 96 + policy->v4 : policy->v6);
    if (walk->place.bits == UDP_SHARED)
        udp_count_offender(&walk->packet.destination, UDP_DESTINATION, 128);
    else
        udp_count_drop(walk->own);
}

/* Counts, and does what the policy says of what is over its limits. */
static __always_inline __u32 udp_do(struct __sk_buff *ctx, const struct udp_walk *walk, const struct udp_policy *policy,
                                    enum udp_over over, int full)
{
    __u32 index = walk->place.policy;
    struct udp_policy_count *count = bpf_map_lookup_elem(&policy_counters, &index);

    if (count) {
        if (full)
            __sync_fetch_and_add(&count->full, 1);
        if (over == UDP_ADMITTED)
            __sync_fetch_and_add(&count->admitted, 1);
        else if (over == UDP_OVER_SOURCE)
            __sync_fetch_and_add(&count->source, 1);
        else if (over == UDP_OVER_ADDRESS)
            __sync_fetch_and_add(&count->address, 1);
        else
            __sync_fetch_and_add(&count->prefix, 1);
    }
    if (over == UDP_ADMITTED)
        return SLUICE_NEXT;
    udp_count_over(walk, policy);
    if (policy->action == UDP_DROP)
        return SLUICE_DROP;
    if (policy->action == UDP_MARK)
        UDP_SET_MARK(ctx, policy->mark);
    return SLUICE_NEXT;
}

static __always_inline __u32 udp_go_on(struct __sk_buff *ctx, enum udp_reason reason)
{
    sluice_add(&reasons, reason, ctx->len);
    return SLUICE_NEXT;
}

/*
 * The body of the stage. Whoever includes this says before what a mark is at its hook:
 *
 *     UDP_SET_MARK(ctx, mark)
 */
static __always_inline __u32 udp_judge(struct __sk_buff *ctx)
{
    struct udp_walk walk = {};
    const struct udp_policy *policy;
    struct udp_place *place;
    int full = 0;

    udp_parse(ctx, &walk.packet);
    if (!walk.packet.family)
        return udp_go_on(ctx, UDP_NOT_IP);
    if (!walk.packet.is_udp)
        return udp_go_on(ctx, UDP_NOT_UDP);
    if (!udp_is_limited_port(walk.packet.port))
        return udp_go_on(ctx, UDP_OTHER_PORT);
    place = walk.packet.family == 4 ? udp_find_v4(&walk.packet) : udp_find_v6(&walk.packet);
    if (!place)
        return udp_go_on(ctx, UDP_NO_POLICY);
    walk.place = *place;
    policy = bpf_map_lookup_elem(&policies, &walk.place.policy);
    if (!policy)
        return udp_go_on(ctx, UDP_NO_POLICY);
    walk.id = policy->id;
    walk.limits = policy->limits;
    walk.now = bpf_ktime_get_ns();
    walk.furthest = furthest;
    udp_override(&walk);
    if (walk.place.bits == UDP_SHARED) {
        walk.hash = udp_hash(udp_secret(), walk.id, UDP_OF_ADDRESS, &walk.packet.destination);
    } else {
        walk.hash = udp_hash(0, walk.id, UDP_OF_ADDRESS, &walk.packet.destination);
        walk.own = udp_own_place(&walk);
    }

    enum udp_over over = udp_try_limits(&walk, policy, &full);

    return udp_do(ctx, &walk, policy, over, full);
}
