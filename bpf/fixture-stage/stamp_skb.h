/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Room of the packet's that is the programs' own during one walk. */
static __always_inline int leave_stamp(struct __sk_buff *ctx)
{
    ctx->cb[0] = generation;
    return 0;
}

static __always_inline int take_stamp(struct __sk_buff *ctx)
{
    __u32 stamp = ctx->cb[0];

    ctx->cb[0] = 0;
    return stamp == generation;
}

static __always_inline int counts(struct __sk_buff *ctx)
{
    (void)ctx;
    return 1;
}
