/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * The ABI of a stage, the same at every hook. It is included by the header of a hook (<sluice/xdp_stage.h> and its
 * like), which says before what is the hook's own:
 *
 *     SLUICE_CONTEXT    the type that programs of the hook get a pointer to
 *     SLUICE_SECTION    the ELF section, by which libbpf knows the program's type
 *     SLUICE_VERDICTS   a bit for each verdict that a stage may give
 *     SLUICE_GO_ON      what the hook takes for "go on", behind the last stage
 *     SLUICE_REFUSED    what the hook gets if a stage gave a number that is no verdict
 *     sluice_length()   how many bytes the packet has; 0 where there is none
 *     sluice_returns()  the hook's number for a verdict
 *     sluice_verdict()  the verdict that a number of the hook's stands for, SLUICE_NEXT if it means "go on"
 *     sluice_clamp()    a number of the hook's as it is, for a verifier that has lost sight of its range
 *
 * Names that begin with sluice_ are the manager's. See docs/writing-a-stage.md.
 */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <sluice/counters.h>
#include <sluice/state.h>

/*
 * Set before load and constant after it: the verifier deletes what they switch off, and as it knows the index of the
 * tail call the JIT makes a direct jump of it, 1 to 2 ns instead of 10.
 */

/* The slot of the next stage in sluice_chain; 0 for the last stage, behind which the hook goes on. */
const volatile __u32 sluice_next = 0;
/* The verdict if the next slot is empty, which is a fault: SLUICE_PASS to fail open, SLUICE_DROP to fail closed. */
const volatile __u32 sluice_on_fault = SLUICE_PASS;
/* Whether sluice_counters is kept. */
const volatile __u8 sluice_counting = 1;
/* Whether packets may come in fragments (multi-buffer XDP, Linux 5.18); of no other hook. */
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
    SLUICE_ROW_INVALID,     /* the body gave a number that is no verdict of the hook */
    SLUICE_ROW_FALLTHROUGH, /* of those in SLUICE_ROW_NEXT: the next slot was empty */
    SLUICE_ROWS,
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SLUICE_ROWS);
    __type(key, __u32);
    __type(value, struct sluice_count);
} sluice_counters SEC(".maps");

/* What the hook gets if a slot is empty that should not be. */
static __always_inline int sluice_fault(void)
{
    return sluice_on_fault == SLUICE_PASS ? SLUICE_GO_ON : sluice_returns(sluice_on_fault);
}

/* Does what the body said. `length` is the packet's on arrival: the body may have changed it. */
static __always_inline int sluice_finish(SLUICE_CONTEXT *ctx, __u32 verdict, __u64 length)
{
    if (verdict == SLUICE_NEXT) {
        if (sluice_counting)
            sluice_add(&sluice_counters, SLUICE_ROW_NEXT, length);
        if (!sluice_next)
            return SLUICE_GO_ON;
        bpf_tail_call(ctx, &sluice_chain, sluice_next);
        /* Only reached if the slot is empty; R0 is undefined here, so the verdict must be stated. */
        if (sluice_counting)
            sluice_add(&sluice_counters, SLUICE_ROW_FALLTHROUGH, length);
        return sluice_fault();
    }
    if (verdict > SLUICE_REDIRECT || !(SLUICE_VERDICTS & 1 << verdict)) {
        if (sluice_counting)
            sluice_add(&sluice_counters, SLUICE_ROW_INVALID, length);
        return SLUICE_REFUSED;
    }
    if (sluice_counting)
        sluice_add(&sluice_counters, verdict, length);
    return sluice_returns(verdict);
}

/* Begins the body of a stage, in which `ctx` is the hook's context. */
#define SLUICE_STAGE(name)                                                                                             \
    static __always_inline __u32 name##_body(SLUICE_CONTEXT *ctx);                                                     \
    SEC(SLUICE_SECTION) int name(SLUICE_CONTEXT *ctx)                                                                  \
    {                                                                                                                  \
        __u64 length = sluice_counting ? sluice_length(ctx) : 0;                                                       \
                                                                                                                       \
        return sluice_finish(ctx, name##_body(ctx), length);                                                           \
    }                                                                                                                  \
    static __always_inline __u32 name##_body(SLUICE_CONTEXT *ctx)
