/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * A stage at `xdp:IF`. It is one function body, which gives a verdict or goes on:
 *
 *     SLUICE_XDP_STAGE(drop_short)
 *     {
 *         return ctx->data_end - ctx->data < 60 ? XDP_DROP : SLUICE_NEXT;
 *     }
 *
 *     char _license[] SEC("license") = "Dual BSD/GPL";
 *
 * The macro makes of it the program `drop_short`, which counts what the body gave and calls the next stage.
 * Verdicts are XDP's own. Behind the last stage packets pass.
 */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <sluice/verdict.h>

#define SLUICE_CONTEXT  struct xdp_md
#define SLUICE_SECTION  "xdp"
#define SLUICE_VERDICTS 0x1f
#define SLUICE_GO_ON    XDP_PASS
#define SLUICE_REFUSED  XDP_ABORTED

extern const volatile __u8 sluice_frags;

/* The length of the whole packet, its fragments included. */
static __always_inline __u64 sluice_length(struct xdp_md *ctx)
{
    return sluice_frags ? bpf_xdp_get_buff_len(ctx) : (__u64)(ctx->data_end - ctx->data);
}

static __always_inline __u32 sluice_returns(__u32 verdict)
{
    return verdict;
}

/* Of what is no verdict: no row of one, and not SLUICE_NEXT, which only stages know. */
static __always_inline __u32 sluice_verdict(__u32 returned)
{
    return returned <= XDP_REDIRECT ? returned : SLUICE_NEXT + 1;
}

static __always_inline __u32 sluice_clamp(__u32 returned)
{
    return returned <= XDP_REDIRECT ? returned : XDP_ABORTED;
}

#include <sluice/stage.h>

#define SLUICE_XDP_STAGE(name) SLUICE_STAGE(name)
