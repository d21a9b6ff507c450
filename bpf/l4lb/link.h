/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "packet.h"

/* Reads the EtherType behind the VLAN tags and the length up to there; 0 if the frame ends before. */
static __always_inline __be16 l4lb_read_link(struct xdp_md *ctx, struct l4lb_packet *packet)
{
    void *data = (void *)(long)ctx->data, *end = l4lb_end(ctx);
    struct ethhdr *ethernet = data;
    __be16 protocol;

    if ((void *)(ethernet + 1) > end)
        return 0;
    protocol = ethernet->h_proto;
    packet->link = sizeof(*ethernet);
#pragma unroll
    for (int i = 0; i < L4LB_VLAN_TAGS; i++) {
        struct l4lb_vlan *vlan = data + packet->link;

        if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD))
            break;
        if ((void *)(vlan + 1) > end)
            return 0;
        protocol = vlan->protocol;
        packet->link += sizeof(*vlan);
    }
    return protocol;
}

/*
 * Moves the start of the frame by `bytes`, negative for more room, and Ethernet with its tags along. In words: by byte
 * it would take longer than all else that is done here.
 */
static __always_inline int l4lb_shift_link(struct xdp_md *ctx, __u32 length, int bytes, __be16 protocol)
{
    void *start = (void *)(long)ctx->data;
    __u64 first, tags = 0;
    __u32 second;

    if (start + L4LB_LINK_MAX > l4lb_end(ctx))
        return -1;
    first = *(__u64 *)start;
    second = *(__u32 *)(start + 8);
    if (length != sizeof(struct ethhdr))
        tags = *(__u64 *)(start + 12);
    if (bpf_xdp_adjust_head(ctx, bytes))
        return -1;
    start = (void *)(long)ctx->data;
    if (start + L4LB_LINK_MAX > l4lb_end(ctx))
        return -1;
    *(__u64 *)start = first;
    *(__u32 *)(start + 8) = second;
    if (length == sizeof(struct ethhdr)) {
        *(__be16 *)(start + 12) = protocol;
        return 0;
    }
    *(__u32 *)(start + 12) = tags;
    if (length == sizeof(struct ethhdr) + sizeof(struct l4lb_vlan)) {
        *(__be16 *)(start + 16) = protocol;
        return 0;
    }
    *(__u32 *)(start + 16) = tags >> 32;
    *(__be16 *)(start + 20) = protocol;
    return 0;
}

L4LB_STEP l4lb_move_link(struct xdp_md *ctx, __u32 length, int bytes, __be16 protocol)
{
    return l4lb_shift_link(ctx, length, bytes, protocol);
}

static __always_inline __be16 l4lb_ether_type(__u8 family)
{
    return family == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
}

/* Sends a frame back to whoever sent it. */
static __always_inline int l4lb_swap_link(struct xdp_md *ctx)
{
    __u32 *words = (void *)(long)ctx->data, first, second, third;

    if ((void *)(words + 3) > l4lb_end(ctx))
        return -1;
    first = words[0];
    second = words[1];
    third = words[2];
    words[0] = second >> 16 | third << 16;
    words[1] = third >> 16 | first << 16;
    words[2] = first >> 16 | second << 16;
    return 0;
}
