/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "packet.h"

/* Of <linux/if_ether.h> and <sys/socket.h>, without libc. */
#define L4LB_AF_INET  2
#define L4LB_AF_INET6 10

/* So many ticks a route is kept before the kernel is asked again: 32 to 320 ms. */
#define L4LB_ROUTE_TICKS 32

/* Asks the kernel for the way to a server; 0 if there is one. */
static __noinline int l4lb_ask_route(struct xdp_md *ctx, const struct l4lb_server *server, struct l4lb_route *route)
{
    struct bpf_fib_lookup query = {.ifindex = ctx->ingress_ifindex};

    if (server->family == 4) {
        query.family = L4LB_AF_INET;
        query.ipv4_src = source_v4;
        query.ipv4_dst = server->address.low >> 32;
    } else {
        query.family = L4LB_AF_INET6;
        *(__u64 *)&query.ipv6_src[0] = source_v6.high;
        *(__u64 *)&query.ipv6_src[2] = source_v6.low;
        *(__u64 *)&query.ipv6_dst[0] = server->address.high;
        *(__u64 *)&query.ipv6_dst[2] = server->address.low;
    }
    if (bpf_fib_lookup(ctx, &query, sizeof(query), 0))
        return -1;
    route->interface = query.ifindex;
    __builtin_memcpy(route->destination, query.dmac, ETH_ALEN);
    __builtin_memcpy(route->source, query.smac, ETH_ALEN);
    route->asked = bpf_jiffies64();
    return 0;
}

/* The way to a server; null if the kernel knows none, or nobody's Ethernet address. */
static __always_inline struct l4lb_route *l4lb_route_to(struct xdp_md *ctx, __u32 number,
                                                        const struct l4lb_server *server)
{
    struct l4lb_route *route = bpf_map_lookup_elem(&routes, &number);

    if (!route)
        return 0;
    if ((!route->asked || bpf_jiffies64() - route->asked >= L4LB_ROUTE_TICKS) && l4lb_ask_route(ctx, server, route)) {
        route->asked = 0;
        return 0;
    }
    return route;
}
