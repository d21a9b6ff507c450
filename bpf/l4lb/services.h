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

static __always_inline struct l4lb_vip *l4lb_find_vip(const struct l4lb_flow *flow,
                                                      const volatile struct l4lb_length *length, __u8 protocol)
{
    struct l4lb_vip_key key = {
        .prefix = {flow->destination.high & length->mask.high, flow->destination.low & length->mask.low},
        .bits = length->bits,
        .protocol = protocol,
    };

    return bpf_map_lookup_elem(&vips, &key);
}

static __always_inline __u32 l4lb_find_port(const struct l4lb_flow *flow, const volatile struct l4lb_length *length)
{
    struct l4lb_port_key key = {
        .prefix = {flow->destination.high & length->mask.high, flow->destination.low & length->mask.low},
        .bits = length->bits,
        .protocol = flow->protocol,
        .port = flow->destination_port,
    };
    __u32 *service = bpf_map_lookup_elem(&services_by_port, &key);

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

/* The service of a packet's flow, L4LB_NONE without: that of the longest prefix, there by port before by range. */
L4LB_STEP l4lb_find_service(struct l4lb_packet *packet)
{
    const volatile struct l4lb_length *lengths;
    const struct l4lb_flow *flow;

    if (!packet)
        return L4LB_NONE;
    flow = &packet->flow;
    lengths = flow->family == 4 ? lengths_v4 : lengths_v6;
#pragma unroll
    for (int i = 0; i < L4LB_LENGTHS; i++) {
        __u32 service = L4LB_NONE;
        struct l4lb_vip *vip;

        if (!(packet->candidates & 1 << i))
            continue;
        if (!flow->by_pair)
            service = l4lb_find_port(flow, &lengths[i]);
        if (service == L4LB_NONE && (has_ranges || flow->by_pair)) {
            vip = l4lb_find_vip(flow, &lengths[i], flow->protocol);
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

/* Whether the destination is a VIP that answers pings. */
L4LB_STEP l4lb_answers(struct l4lb_packet *packet)
{
    const volatile struct l4lb_length *lengths;

    if (!packet)
        return 0;
    lengths = packet->flow.family == 4 ? lengths_v4 : lengths_v6;
#pragma unroll
    for (int i = 0; i < L4LB_LENGTHS; i++)
        if (packet->candidates & 1 << i && l4lb_find_vip(&packet->flow, &lengths[i], packet->flow.protocol))
            return 1;
    return 0;
}
