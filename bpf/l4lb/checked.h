/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "outer.h"
#include "packet.h"

#define L4LB_NO_ANSWER (-1)

/*
 * An answer to a health check comes from the VIP, and the check's socket is connected to the server: to a VIP that this
 * machine has too, it could not be. Returns what the stage does, or L4LB_NO_ANSWER.
 */
L4LB_STEP l4lb_take_answer(struct xdp_md *ctx, struct l4lb_packet *packet, int is_v4)
{
    const struct l4lb_check *check;
    struct l4lb_address from;
    struct ipv6hdr *ip6;
    struct tcphdr *tcp;
    struct iphdr *ip;
    __u32 change;

    if (!packet)
        return L4LB_NO_ANSWER;
    ip = l4lb_at(ctx, packet->link);
    ip6 = (void *)ip;
    tcp = (void *)ip + (is_v4 ? sizeof(*ip) : sizeof(*ip6));
    if ((void *)(tcp + 1) > l4lb_end(ctx))
        return L4LB_NO_ANSWER;
    if (is_v4) {
        if (ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_TCP ||
            ip->frag_off & bpf_htons(L4LB_FRAGMENT_MORE | L4LB_FRAGMENT_OFFSET))
            return L4LB_NO_ANSWER;
        from = l4lb_mapped(ip->saddr);
    } else {
        if (ip6->version != 6 || ip6->nexthdr != IPPROTO_TCP)
            return L4LB_NO_ANSWER;
        __builtin_memcpy(&from, &ip6->saddr, sizeof(from));
    }
    check = l4lb_check_from(tcp->dest);
    if (!check || tcp->source != check->port)
        return L4LB_NO_ANSWER;
    if (l4lb_equal(&from, &check->server)) {
        l4lb_count(L4LB_CHECK_ASTRAY, packet);
        return XDP_DROP;
    }
    if (!l4lb_equal(&from, &check->vip))
        return L4LB_NO_ANSWER;
    /* What two mapped addresses have in common, is no difference. */
    change = bpf_csum_diff((void *)&from, sizeof(from), (void *)&check->server, sizeof(check->server), 0);
    change = (change & 0xffff) + (change >> 16);
    tcp->check = l4lb_fold((__u16)~tcp->check + change);
    if (is_v4) {
        ip->check = l4lb_fold((__u16)~ip->check + change);
        ip->saddr = check->server.low >> 32;
    } else {
        __builtin_memcpy(&ip6->saddr, &check->server, sizeof(ip6->saddr));
    }
    l4lb_count(L4LB_CHECK_ANSWER, packet);
    return SLUICE_NEXT;
}
