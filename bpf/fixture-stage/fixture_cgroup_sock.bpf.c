// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/cgroup_sock_stage.h>

#include "marks.h"

#include "fixture.h"

/* A new socket has no mark. One that saw two generations keeps one. */
static __always_inline int leave_stamp(struct bpf_sock *ctx)
{
    ctx->mark = generation;
    return 0;
}

static __always_inline int take_stamp(struct bpf_sock *ctx)
{
    __u32 left = ctx->mark ^ generation;

    ctx->mark = left;
    return !left;
}

static __always_inline int counts(struct bpf_sock *ctx)
{
    (void)ctx;
    return 1;
}

#include "walk.h"
