// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/cgroup_sock_addr_stage.h>

#include <bpf/bpf_endian.h>

#include "marks.h"

#include "fixture.h"

/* The port that all calls of the tests are for. One that saw two generations is made for another. */
#define PORT bpf_htons(4242)

static __always_inline int leave_stamp(struct bpf_sock_addr *ctx)
{
    ctx->user_port = ctx->user_port ^ (__u16)generation;
    return 0;
}

static __always_inline int take_stamp(struct bpf_sock_addr *ctx)
{
    __u32 port = ctx->user_port ^ (__u16)generation;

    ctx->user_port = port;
    return port == PORT;
}

static __always_inline int counts(struct bpf_sock_addr *ctx)
{
    (void)ctx;
    return 1;
}

#include "walk.h"
