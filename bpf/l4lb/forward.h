/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "encapsulate.h"
#include "route.h"

/* L2 direct return: the packet as it is, to the server's Ethernet address. */
static __always_inline __u32 l4lb_forward_direct(struct xdp_md *ctx, const struct l4lb_server *server)
{
    struct ethhdr *ethernet = (void *)(long)ctx->data;

    if ((void *)(ethernet + 1) > l4lb_end(ctx))
        return XDP_DROP;
    __builtin_memcpy(ethernet->h_source, ethernet->h_dest, ETH_ALEN);
    __builtin_memcpy(ethernet->h_dest, server->mac, ETH_ALEN);
    return XDP_TX;
}

static __always_inline __u32 l4lb_emit(struct xdp_md *ctx, const struct l4lb_route *route)
{
    struct ethhdr *ethernet = (void *)(long)ctx->data;

    if ((void *)(ethernet + 1) > l4lb_end(ctx))
        return XDP_DROP;
    __builtin_memcpy(ethernet->h_dest, route->destination, ETH_ALEN);
    __builtin_memcpy(ethernet->h_source, route->source, ETH_ALEN);
    return route->interface == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(route->interface, 0);
}

/*
 * Sends a packet to packet->server; of a tunnel's packet the outer headers are written anew. What the kernel has no
 * neighbour for yet is handed on as built, for it to forward and to look for the neighbour. A tagged frame goes back in
 * its VLAN.
 */
static __always_inline __u32 l4lb_forward(struct xdp_md *ctx, struct l4lb_packet *packet)
{
    struct l4lb_server *server;
    struct l4lb_route *route = 0;
    int routed;

    server = l4lb_server_of(packet->server);
    if (!server)
        return XDP_DROP;
    if (packet->encapsulation == L4LB_DIRECT)
        return l4lb_forward_direct(ctx, server);
    routed = by_route && packet->link == sizeof(struct ethhdr);
    if (routed)
        route = l4lb_route_to(ctx, packet->server, server);
    if (!packet->outer && l4lb_shift_link(ctx, packet->link, -(int)packet->overhead, l4lb_ether_type(server->family)))
        return XDP_DROP;
    if (l4lb_write_outer(ctx, packet, server))
        return XDP_DROP;
    if (!routed)
        return l4lb_swap_link(ctx) ? XDP_DROP : XDP_TX;
    if (route)
        return l4lb_emit(ctx, route);
    l4lb_count(L4LB_UNROUTED, packet);
    return SLUICE_NEXT;
}
