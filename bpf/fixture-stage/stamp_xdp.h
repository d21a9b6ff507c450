/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* The stamp lies in the last four bytes of the Ethernet source address, where no checksum covers it, and stays there.
 */
#define STAMP_OFFSET 8

static __always_inline __u32 *stamp_of(struct xdp_md *ctx)
{
    __u8 *data = (__u8 *)(long)ctx->data;

    if (data + STAMP_OFFSET + sizeof(__u32) > (__u8 *)(long)ctx->data_end)
        return 0;
    return (__u32 *)(data + STAMP_OFFSET);
}

static __always_inline int leave_stamp(struct xdp_md *ctx)
{
    __u32 *stamp = stamp_of(ctx);

    if (!stamp)
        return -1;
    *stamp = generation;
    return 0;
}

static __always_inline int take_stamp(struct xdp_md *ctx)
{
    __u32 *stamp = stamp_of(ctx);

    return stamp ? *stamp == generation : -1;
}

static __always_inline int counts(struct xdp_md *ctx)
{
    (void)ctx;
    return 1;
}
