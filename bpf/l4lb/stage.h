/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "balance.h"
#include "checked.h"

/* What all versions do with a packet. */
static __always_inline __u32 l4lb_take(struct xdp_md *ctx)
{
    struct l4lb_packet packet = {.length = sluice_length(ctx)};
    __be16 protocol = l4lb_read_link(ctx, &packet);
    void *start = l4lb_at(ctx, packet.link), *end = l4lb_end(ctx);
    int verdict;

    if (protocol == bpf_htons(ETH_P_IP)) {
        struct iphdr *ip = start;

        if ((void *)(ip + 1) > end)
            return SLUICE_NEXT;
        if (check_count && ip->daddr == source_v4) {
            verdict = l4lb_take_answer(ctx, &packet, 1);
            if (verdict != L4LB_NO_ANSWER)
                return verdict;
        }
        if (local_v4 && ip->daddr == local_v4) {
            l4lb_read_tunnel_v4(ctx, &packet);
        } else {
            packet.flow.family = 4;
            packet.candidates = l4lb_candidates(lengths_v4, 0, l4lb_mapped(ip->daddr).low);
        }
    } else if (protocol == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr *ip = start;
        struct l4lb_address address;

        if ((void *)(ip + 1) > end)
            return SLUICE_NEXT;
        __builtin_memcpy(&address, &ip->daddr, sizeof(address));
        if (check_count && address.high == source_v6.high && address.low == source_v6.low) {
            verdict = l4lb_take_answer(ctx, &packet, 0);
            if (verdict != L4LB_NO_ANSWER)
                return verdict;
        }
        if ((local_v6.high | local_v6.low) && address.high == local_v6.high && address.low == local_v6.low) {
            l4lb_read_tunnel_v6(ctx, &packet);
        } else {
            packet.flow.family = 6;
            packet.candidates = l4lb_candidates(lengths_v6, address.high, address.low);
        }
    }
    if (!packet.flow.family || !(packet.candidates | packet.outer))
        return SLUICE_NEXT;
    packet.transport = packet.link + packet.outer;
    if (!packet.outer)
        packet.left = packet.length - packet.link;
    return l4lb_balance(ctx, &packet);
}
