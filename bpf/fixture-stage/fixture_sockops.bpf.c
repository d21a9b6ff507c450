// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/sockops_stage.h>

#include "marks.h"

#include "fixture.h"

static __always_inline int leave_stamp(struct bpf_sock_ops *ctx)
{
    ctx->reply = generation;
    return 0;
}

/*
 * Answers that connections shall have ECN: whether the kernel has taken the answer can be seen of a connection, and it
 * does not when `check` drops.
 */
static __always_inline int take_stamp(struct bpf_sock_ops *ctx)
{
    __u32 stamp = ctx->reply;

    ctx->reply = ctx->op == BPF_SOCK_OPS_NEEDS_ECN ? 1 : -1;
    return stamp == generation;
}

/* Once a connection, at the end that opens it. */
static __always_inline int counts(struct bpf_sock_ops *ctx)
{
    return ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB;
}

#include "walk.h"
