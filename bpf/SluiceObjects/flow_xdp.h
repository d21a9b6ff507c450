/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Q-in-Q has two. */
#define FLOW_VLAN_TAGS 2

static __always_inline int flow_read(struct xdp_md *ctx, __u32 offset, void *to, __u32 size)
{
    void *found = (void *)(long)ctx->data + offset;

    if (found + size > (void *)(long)ctx->data_end)
        return -1;
    __builtin_memcpy(to, found, size);
    return 0;
}

#include "flow.h"

struct flow_tag {
    __be16 control;
    __be16 protocol;
};

/* The flow of a frame, whose IP header is behind the link's and its VLAN tags. */
static __always_inline __u64 flow_of(struct xdp_md *ctx, __u64 seed)
{
    struct ethhdr *ethernet = (void *)(long)ctx->data;
    __u32 offset = sizeof(*ethernet);

    if ((void *)(ethernet + 1) > (void *)(long)ctx->data_end)
        return 0;
    __be16 protocol = ethernet->h_proto;

    for (int i = 0; i < FLOW_VLAN_TAGS; i++) {
        struct flow_tag *tag = (void *)(long)ctx->data + offset;

        if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD))
            break;
        if ((void *)(tag + 1) > (void *)(long)ctx->data_end)
            return 0;
        protocol = tag->protocol;
        offset += sizeof(*tag);
    }
    return flow_of_ip(ctx, protocol, offset, seed);
}
