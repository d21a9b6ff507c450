/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * The ABI of an XDP stage. A stage is one function body, which gives a verdict or goes on:
 *
 *     SLUICE_XDP_STAGE(drop_short)
 *     {
 *         return ctx->data_end - ctx->data < 60 ? XDP_DROP : SLUICE_NEXT;
 *     }
 *
 *     char _license[] SEC("license") = "Dual BSD/GPL";
 *
 * The macro makes of it the program `drop_short`, which counts what the body gave and calls the next stage.
 * Names that begin with sluice_ are the manager's. See docs/writing-a-stage.md.
 */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <sluice/counters.h>
#include <sluice/state.h>
#include <sluice/verdict.h>

/*
 * Set before load and constant after it: the verifier deletes what they switch off, and as it knows the index of the
 * tail call the JIT makes a direct jump of it, 1 to 2 ns instead of 10.
 */

/* The slot of the next stage in sluice_chain; 0 for the last stage, whose SLUICE_NEXT is XDP_PASS. */
const volatile __u32 sluice_next = 0;
/* The verdict if the next slot is empty, which is a fault: XDP_PASS to fail open, XDP_DROP to fail closed. */
const volatile __u32 sluice_on_fault = XDP_PASS;
/* Whether sluice_counters is kept. */
const volatile __u8 sluice_counting = 1;
/* Whether packets may come in fragments (multi-buffer XDP, Linux 5.18). */
const volatile __u8 sluice_frags = 0;

/* The stages of one generation; stage k, from 1 on, in slot k. The manager puts the generation's array in its place. */
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 33);
    __type(key, __u32);
    __type(value, __u32);
} sluice_chain SEC(".maps");

/* Rows of sluice_counters: 0 to 4 the verdicts by number, then these. */
enum sluice_row {
    SLUICE_ROW_NEXT = SLUICE_NEXT,
    SLUICE_ROW_INVALID,     /* the body gave a number that is no verdict; the packet was aborted */
    SLUICE_ROW_FALLTHROUGH, /* of those in SLUICE_ROW_NEXT: the next slot was empty */
    SLUICE_ROWS,
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SLUICE_ROWS);
    __type(key, __u32);
    __type(value, struct sluice_count);
} sluice_counters SEC(".maps");

/* The length of the whole packet, its fragments included. */
static __always_inline __u64 sluice_length(struct xdp_md *ctx)
{
    return sluice_frags ? bpf_xdp_get_buff_len(ctx) : (__u64)(ctx->data_end - ctx->data);
}

/* Does what the body said. `length` is the packet's on arrival: the body may have changed it. */
static __always_inline int sluice_finish(struct xdp_md *ctx, __u32 verdict, __u64 length)
{
    if (verdict == SLUICE_NEXT) {
        if (sluice_counting)
            sluice_add(&sluice_counters, SLUICE_ROW_NEXT, length);
        if (!sluice_next)
            return XDP_PASS;
        bpf_tail_call(ctx, &sluice_chain, sluice_next);
        /* Only reached if the slot is empty; R0 is undefined here, so the verdict must be stated. */
        if (sluice_counting)
            sluice_add(&sluice_counters, SLUICE_ROW_FALLTHROUGH, length);
        return sluice_on_fault;
    }
    if (verdict > XDP_REDIRECT) {
        if (sluice_counting)
            sluice_add(&sluice_counters, SLUICE_ROW_INVALID, length);
        return XDP_ABORTED;
    }
    if (sluice_counting)
        sluice_add(&sluice_counters, verdict, length);
    return verdict;
}

/* Begins the body of a stage, in which `ctx` is the packet's struct xdp_md. */
#define SLUICE_XDP_STAGE(name)                                                                                         \
    static __always_inline __u32 name##_body(struct xdp_md *ctx);                                                      \
    SEC("xdp") int name(struct xdp_md *ctx)                                                                            \
    {                                                                                                                  \
        __u64 length = sluice_counting ? sluice_length(ctx) : 0;                                                       \
                                                                                                                       \
        return sluice_finish(ctx, name##_body(ctx), length);                                                           \
    }                                                                                                                  \
    static __always_inline __u32 name##_body(struct xdp_md *ctx)
