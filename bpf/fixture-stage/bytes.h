/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* A byte of the packet, 0 behind its end. */
static __always_inline __u32 byte_at(struct xdp_md *ctx, __u32 offset)
{
    __u8 *data = (void *)(long)ctx->data;
    __u8 *end = (void *)(long)ctx->data_end;

    if (data + offset + 1 > end)
        return 0;
    return data[offset];
}
