/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * A stage at `tc-ingress:IF` or `tc-egress:IF`, begun by SLUICE_TC_STAGE(name). `ctx` is a struct __sk_buff whose data
 * begins with the link's header. Verdicts:
 *
 *     SLUICE_PASS      TC_ACT_OK: the packet goes its way, and nobody behind this hook's chain looks at it
 *     SLUICE_DROP      TC_ACT_SHOT
 *     SLUICE_REDIRECT  what bpf_redirect() and its like were told before
 *
 * Behind the last stage it is the turn of whoever else has a program there (TC_ACT_UNSPEC), and else the packet passes.
 */

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include <sluice/verdict.h>

#define SLUICE_CONTEXT  struct __sk_buff
#define SLUICE_SECTION  "tc"
#define SLUICE_VERDICTS (1 << SLUICE_DROP | 1 << SLUICE_PASS | 1 << SLUICE_REDIRECT)
#define SLUICE_GO_ON    TC_ACT_UNSPEC
#define SLUICE_REFUSED  TC_ACT_SHOT

/* Of all segments of a packet that is yet to be cut up, one header: the rest is made of it later. */
static __always_inline __u64 sluice_length(struct __sk_buff *ctx)
{
    return ctx->len;
}

static __always_inline __u32 sluice_returns(__u32 verdict)
{
    return verdict == SLUICE_PASS ? TC_ACT_OK : verdict == SLUICE_REDIRECT ? TC_ACT_REDIRECT : TC_ACT_SHOT;
}

/* What is neither of these, the kernel takes for TC_ACT_UNSPEC. */
static __always_inline __u32 sluice_verdict(__u32 returned)
{
    return returned == TC_ACT_OK         ? SLUICE_PASS
           : returned == TC_ACT_SHOT     ? SLUICE_DROP
           : returned == TC_ACT_REDIRECT ? SLUICE_REDIRECT
                                         : SLUICE_NEXT;
}

static __always_inline __u32 sluice_clamp(__u32 returned)
{
    return returned;
}

#include <sluice/stage.h>

#define SLUICE_TC_STAGE(name) SLUICE_STAGE(name)
