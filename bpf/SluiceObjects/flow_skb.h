/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* From the IP header on, wherever the hook's data begins; out of fragments too. */
static __always_inline int flow_read(struct __sk_buff *ctx, __u32 offset, void *to, __u32 size)
{
    return bpf_skb_load_bytes_relative(ctx, offset, to, size, BPF_HDR_START_NET);
}

#include "flow.h"

/* The flow of a packet: the kernel has taken VLAN tags off. */
static __always_inline __u64 flow_of(struct __sk_buff *ctx, __u64 seed)
{
    return flow_of_ip(ctx, ctx->protocol, 0, seed);
}
