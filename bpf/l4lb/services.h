/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "packet.h"

#define L4LB_NONE 0xffffffffu

static __always_inline __u32 l4lb_filter_bit(const volatile struct l4lb_length *length, __u64 high, __u64 low)
{
    __u64 bit = l4lb_mix(l4lb_mix(length->bits, high & length->mask.high), low & length->mask.low) >> L4LB_FILTER_SHIFT;

    return vip_filter[bit / 64 & (L4LB_FILTER_WORDS - 1)] >> (bit % 64) & 1;
}

/* A bit for each prefix length under which the address may be a VIP; 0 for most of what is none. */
static __always_inline __u32 l4lb_candidates(const volatile struct l4lb_length *lengths, __u64 high, __u64 low)
{
    __u32 candidates = 0;

#pragma unroll
    for (int i = 0; i < L4LB_LENGTHS; i++) {
        if (!lengths[i].bits)
            break;
        candidates |= l4lb_filter_bit(&lengths[i], high, low) << i;
    }
    return candidates;
}

/* The second half of a key, as one word: the look-up reads it in other pieces than it would be written in. */
static __always_inline __u64 l4lb_key_rest(__u64 bits, __u8 protocol, __be16 port)
{
    return bits | (__u32)protocol << 8 | (__u32)port << 16;
}

static __always_inline struct l4lb_vip *l4lb_find_vip(const struct l4lb_flow *flow,
                                                      const volatile struct l4lb_length *length)
{
    __u64 key[] = {
        flow->destination.high & length->mask.high,
        flow->destination.low & length->mask.low,
        l4lb_key_rest(length->bits, flow->protocol, 0),
    };

    _Static_assert(sizeof(key) == sizeof(struct l4lb_vip_key), "the key of vips");
    return bpf_map_lookup_elem(&vips, key);
}

static __always_inline __u32 l4lb_find_port(const struct l4lb_flow *flow, const volatile struct l4lb_length *length)
{
    __u64 key[] = {
        flow->destination.high & length->mask.high,
        flow->destination.low & length->mask.low,
        l4lb_key_rest(length->bits, flow->protocol, flow->destination_port),
    };
    __u32 *service = bpf_map_lookup_elem(&services_by_port, key);

    _Static_assert(sizeof(key) == sizeof(struct l4lb_port_key), "the key of services_by_port");
    return service ? *service : L4LB_NONE;
}

/* The service with the port in one of its ranges. Without a branch a range: paths the verifier must walk. */
static __always_inline __u32 l4lb_find_range(const struct l4lb_vip *vip, __u16 port)
{
    __u64 found = 0, wanted = port;

#pragma unroll
    for (int i = 0; i < L4LB_RANGES; i++) {
        __u64 outside = (wanted - vip->first[i]) | (vip->last[i] - wanted);

        /* All ones where it is inside. */
        found |= ((outside >> 63) - 1) & (vip->service[i] + 1ull);
    }
    return found - 1;
}

static __always_inline const volatile struct l4lb_length *l4lb_lengths(const struct l4lb_packet *packet)
{
    return packet->flow.family == 4 ? lengths_v4 : lengths_v6;
}

/*
 * The service of a flow that has none by its port under the `first` prefix length: by a range there, or under another
 * length.
 */
L4LB_STEP l4lb_find_further(struct l4lb_packet *packet, __u32 first)
{
    const volatile struct l4lb_length *lengths;
    const struct l4lb_flow *flow;

    if (!packet)
        return L4LB_NONE;
    flow = &packet->flow;
    lengths = l4lb_lengths(packet);
#pragma unroll
    for (__u32 i = 0; i < L4LB_LENGTHS; i++) {
        __u32 service = L4LB_NONE;
        struct l4lb_vip *vip;

        if (!(packet->candidates & 1 << i))
            continue;
        if (!flow->by_pair && i != first)
            service = l4lb_find_port(flow, &lengths[i]);
        if (service == L4LB_NONE && (has_ranges || flow->by_pair)) {
            vip = l4lb_find_vip(flow, &lengths[i]);
            if (vip && flow->by_pair)
                service = vip->fragments;
            else if (vip && vip->has_ranges)
                service = l4lb_find_range(vip, bpf_ntohs(flow->destination_port));
        }
        if (service != L4LB_NONE)
            return service;
    }
    return L4LB_NONE;
}

/* The service of a packet's flow, L4LB_NONE without: that of the longest prefix, there by port before by range. */
static __always_inline __u32 l4lb_find_service(struct l4lb_packet *packet)
{
    __u32 candidates = packet->candidates, first = l4lb_lowest(candidates), service = L4LB_NONE;

    if (!packet->flow.by_pair)
        service = l4lb_find_port(&packet->flow, &l4lb_lengths(packet)[first & (L4LB_LENGTHS - 1)]);
    if (service != L4LB_NONE || !candidates)
        return service;
    return l4lb_find_further(packet, first);
}

/* Whether the destination is a VIP that answers pings. */
L4LB_STEP l4lb_answers(struct l4lb_packet *packet)
{
    const volatile struct l4lb_length *lengths;

    if (!packet)
        return 0;
    lengths = l4lb_lengths(packet);
#pragma unroll
    for (int i = 0; i < L4LB_LENGTHS; i++)
        if (packet->candidates & 1 << i && l4lb_find_vip(&packet->flow, &lengths[i]))
            return 1;
    return 0;
}
