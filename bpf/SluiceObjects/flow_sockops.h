/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/in.h>
#include <bpf/bpf_endian.h>

#include "flow_hash.h"

/* <sys/socket.h> is no header of the kernel. */
#define FLOW_AF_INET 2

/* The flow of a connection: all that happens to it has the same. */
static __always_inline __u64 flow_of(struct bpf_sock_ops *ctx, __u64 seed)
{
    /* One is in host order, the other in network order and in the upper half. */
    __be16 local = bpf_htons(ctx->local_port), remote = ctx->remote_port >> 16;
    struct in6_addr source, destination;

    if (ctx->family == FLOW_AF_INET)
        return flow_hash(flow_mix(((__u64)ctx->local_ip4 << 16 | local) ^ seed),
                         flow_mix(((__u64)ctx->remote_ip4 << 16 | remote) ^ seed), IPPROTO_TCP);
    source.s6_addr32[0] = ctx->local_ip6[0];
    source.s6_addr32[1] = ctx->local_ip6[1];
    source.s6_addr32[2] = ctx->local_ip6[2];
    source.s6_addr32[3] = ctx->local_ip6[3];
    destination.s6_addr32[0] = ctx->remote_ip6[0];
    destination.s6_addr32[1] = ctx->remote_ip6[1];
    destination.s6_addr32[2] = ctx->remote_ip6[2];
    destination.s6_addr32[3] = ctx->remote_ip6[3];
    return flow_hash(flow_end_ipv6(&source, local, seed), flow_end_ipv6(&destination, remote, seed), IPPROTO_TCP);
}
