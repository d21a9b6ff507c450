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

/* Moves the start of the frame by `bytes`, negative for more room, and Ethernet with its tags along. */
L4LB_STEP l4lb_move_link(struct xdp_md *ctx, __u32 length, int bytes, __be16 protocol)
{
    __u8 link[L4LB_LINK_MAX + 2];
    __u8 *start = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

    if (start + L4LB_LINK_MAX > end)
        return -1;
    __builtin_memcpy(link, start, L4LB_LINK_MAX);
    if (bpf_xdp_adjust_head(ctx, bytes))
        return -1;
    start = (void *)(long)ctx->data;
    end = (void *)(long)ctx->data_end;
    if (start + L4LB_LINK_MAX > end)
        return -1;
    __builtin_memcpy(start, link, 12);
    switch (length) {
    case 14:
        break;
    case 18:
        __builtin_memcpy(start + 12, link + 12, 4);
        start += 4;
        break;
    default:
        __builtin_memcpy(start + 12, link + 12, 8);
        start += 8;
        break;
    }
    *(__be16 *)(start + 12) = protocol;
    return 0;
}

static __always_inline __be16 l4lb_ether_type(__u8 family)
{
    return family == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
}

/* Sends a frame back to whoever sent it. */
static __always_inline int l4lb_swap_link(struct xdp_md *ctx)
{
    struct ethhdr *ethernet = (void *)(long)ctx->data;
    __u8 address[ETH_ALEN];

    if ((void *)(ethernet + 1) > l4lb_end(ctx))
        return -1;
    __builtin_memcpy(address, ethernet->h_dest, ETH_ALEN);
    __builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
    __builtin_memcpy(ethernet->h_source, address, ETH_ALEN);
    return 0;
}
