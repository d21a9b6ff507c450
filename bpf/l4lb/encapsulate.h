/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "choose.h"
#include "link.h"
#include "outer.h"

static __always_inline int l4lb_write_v4(void *start, void *end, const struct l4lb_packet *packet,
                                         const struct l4lb_server *server, __u8 protocol, __u32 total)
{
    struct iphdr *ip = start;

    if ((void *)(ip + 1) > end)
        return -1;
    l4lb_fill_v4(ip, packet->tos, total, L4LB_FRAGMENT_DF, protocol, source_v4, server->address.low >> 32);
    return 0;
}

static __always_inline int l4lb_write_v6(void *start, void *end, const struct l4lb_packet *packet,
                                         const struct l4lb_server *server, __u8 protocol, __u32 total)
{
    struct ipv6hdr *ip = start;

    if ((void *)(ip + 1) > end)
        return -1;
    /* A flow label, for routers that spread tunnels by it. */
    *(__be32 *)ip = bpf_htonl(6u << 28 | (__u32)packet->tos << 20 | (packet->hash >> 44));
    ip->payload_len = bpf_htons(total - sizeof(*ip));
    ip->nexthdr = protocol;
    ip->hop_limit = L4LB_TTL;
    *(volatile __u64 *)&ip->saddr.in6_u.u6_addr32[0] = source_v6.high;
    *(volatile __u64 *)&ip->saddr.in6_u.u6_addr32[2] = source_v6.low;
    *(volatile __u64 *)&ip->daddr.in6_u.u6_addr32[0] = server->address.high;
    *(volatile __u64 *)&ip->daddr.in6_u.u6_addr32[2] = server->address.low;
    return 0;
}

static __always_inline int l4lb_write_gue(void *start, void *end, const struct l4lb_packet *packet)
{
    struct udphdr *udp = start;
    struct l4lb_gue *gue = (void *)(udp + 1);
    const union l4lb_way *way = &packet->way;

    if ((void *)(gue + 1) > end)
        return -1;
    l4lb_fill_gue(udp, gue, bpf_htons(L4LB_FIRST_PORT | (__u16)(packet->hash >> 50)), packet->total,
                  packet->flow.family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6, packet->place);
    for (int i = 0; i < L4LB_HOPS; i++)
        gue->hops[i] = bpf_htons(way->servers[i + 1]);
    return 0;
}

/* Writes the outer headers of a packet to a server into room that is there. */
static __always_inline int l4lb_write_outer(struct xdp_md *ctx, const struct l4lb_packet *packet,
                                            const struct l4lb_server *server)
{
    void *start = l4lb_at(ctx, packet->link), *end = l4lb_end(ctx);
    int gue = packet->encapsulation == L4LB_GUE;
    __u8 protocol = gue ? IPPROTO_UDP : packet->flow.family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
    __u32 total = packet->total + (gue ? sizeof(struct udphdr) + sizeof(struct l4lb_gue) : 0);

    if (server->family == 4) {
        if (l4lb_write_v4(start, end, packet, server, protocol, total + sizeof(struct iphdr)))
            return -1;
        start += sizeof(struct iphdr);
    } else {
        if (l4lb_write_v6(start, end, packet, server, protocol, total + sizeof(struct ipv6hdr)))
            return -1;
        start += sizeof(struct ipv6hdr);
    }
    return gue ? l4lb_write_gue(start, end, packet) : 0;
}
