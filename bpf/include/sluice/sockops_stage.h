/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * A stage at `sockops:PATH`, begun by SLUICE_SOCKOPS_STAGE(name): something happens to a TCP connection of the cgroup.
 * `ctx` is a struct bpf_sock_ops; what the kernel asked for is answered in ctx->reply. That is the same word as
 * ctx->args[0]: it has the event's first argument, or 0, until a stage writes it. SLUICE_PASS ends the walk;
 * SLUICE_DROP does too, and the kernel takes no answer.
 */

#include <linux/bpf.h>

#include <sluice/allow_or_deny.h>

#define SLUICE_CONTEXT struct bpf_sock_ops
#define SLUICE_SECTION "sockops"

static __always_inline __u64 sluice_length(struct bpf_sock_ops *ctx)
{
    (void)ctx;
    return 0;
}

#include <sluice/stage.h>

#define SLUICE_SOCKOPS_STAGE(name) SLUICE_STAGE(name)
