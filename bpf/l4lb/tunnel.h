/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "link.h"

/* The family of what an outer header announces; 0 for no IP packet. */
static __always_inline __u8 l4lb_inner_family(__u8 protocol)
{
    return protocol == IPPROTO_IPIP ? 4 : protocol == IPPROTO_IPV6 ? 6 : 0;
}

/* GUE, and the hops if it is ours. Any other of variant 0 has none. */
static __always_inline int l4lb_read_gue(struct xdp_md *ctx, struct l4lb_packet *packet, __u32 offset, __u32 left)
{
    struct udphdr *udp = l4lb_at(ctx, offset);
    struct l4lb_gue *gue = (void *)(udp + 1);
    __u32 length;

    if ((void *)&gue->magic > l4lb_end(ctx) || left < sizeof(*udp) + 4 || udp->dest != bpf_htons(gue_port))
        return -1;
    /* Above the length: variant and control. */
    if (gue->length & 0xe0)
        return -1;
    length = 4 + (gue->length & 0x1f) * 4;
    if (bpf_ntohs(udp->len) > left || bpf_ntohs(udp->len) < sizeof(*udp) + length)
        return -1;
    packet->flow.family = l4lb_inner_family(gue->protocol);
    if (length == sizeof(*gue) && (void *)(gue + 1) <= l4lb_end(ctx) && !gue->flags && gue->magic == L4LB_GUE_MAGIC &&
        gue->next >> 4 == L4LB_GUE_VERSION && (gue->next & 15) <= L4LB_HOPS) {
        packet->way = (union l4lb_way){{0, bpf_ntohs(gue->hops[0]), bpf_ntohs(gue->hops[1]), bpf_ntohs(gue->hops[2])}};
        packet->place = gue->next & 15;
    }
    return sizeof(*udp) + length;
}

/* Behind the outer IP header. Fills in the inner family, 0 for what is no tunnel's, and where the inner packet is. */
static __always_inline void l4lb_read_tunnel(struct xdp_md *ctx, struct l4lb_packet *packet, __u8 protocol,
                                             __u32 header, __u32 left)
{
    int length = 0;

    packet->place = L4LB_HOPS;
    if (protocol == IPPROTO_UDP)
        length = l4lb_read_gue(ctx, packet, packet->link + header, left);
    else
        packet->flow.family = l4lb_inner_family(protocol);
    if (length < 0) {
        packet->flow.family = 0;
        return;
    }
    packet->outer = header + length;
    packet->left = left - length;
}

/* A packet to this server's own address: see l4lb_read_tunnel. */
L4LB_STEP l4lb_read_tunnel_v4(struct xdp_md *ctx, struct l4lb_packet *packet)
{
    struct iphdr *ip;
    __u32 total;

    if (!packet)
        return 0;
    packet->outer_family = 4;
    ip = l4lb_at(ctx, packet->link);
    if ((void *)(ip + 1) > l4lb_end(ctx) || ip->version != 4 || ip->ihl != 5)
        return 0;
    total = bpf_ntohs(ip->tot_len);
    if (total < sizeof(*ip) || packet->link + total > packet->length ||
        ip->frag_off & bpf_htons(L4LB_FRAGMENT_MORE | L4LB_FRAGMENT_OFFSET))
        return 0;
    l4lb_read_tunnel(ctx, packet, ip->protocol, sizeof(*ip), total - sizeof(*ip));
    return 0;
}

L4LB_STEP l4lb_read_tunnel_v6(struct xdp_md *ctx, struct l4lb_packet *packet)
{
    struct ipv6hdr *ip;
    __u32 left;

    if (!packet)
        return 0;
    packet->outer_family = 6;
    ip = l4lb_at(ctx, packet->link);
    if ((void *)(ip + 1) > l4lb_end(ctx) || ip->version != 6)
        return 0;
    left = bpf_ntohs(ip->payload_len);
    if (packet->link + sizeof(*ip) + left > packet->length)
        return 0;
    l4lb_read_tunnel(ctx, packet, ip->nexthdr, sizeof(*ip), left);
    return 0;
}
