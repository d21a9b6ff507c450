/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "returned.h"

/*
 * What stands in the root's slot while a canary is on: sends a share of the flows through the candidate, all else
 * through the stable generation, and counts what became of both.
 */

/* At most so many steps; a power of two. */
#define SPLITTER_STEPS 16

enum splitter_side {
    SPLITTER_STABLE,
    SPLITTER_CANDIDATE,
};

/* Rows of a side: 0 to 4 the verdicts by number, then this one. */
enum splitter_row {
    SPLITTER_ROW_FALLTHROUGH = SLUICE_NEXT, /* the side's slot was empty */
    SPLITTER_ROWS,
};

/* For each step, below which number a flow's lot falls to the candidate. Set before load. */
const volatile __u32 sluice_thresholds[SPLITTER_STEPS] = {};
/* Of this canary alone, so that it is not always the same flows, and nobody can know which. Set before load. */
const volatile __u64 sluice_seed = 0;
/* What no hook's program returns: the side's slot was empty. */
#define SPLITTER_FALLTHROUGH 0x51ce0002

/* The first stages of both sides. */
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u32);
} sluice_sides SEC(".maps");

/* Which of the steps it is at, from 0 on. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} sluice_step SEC(".maps");

/* The rows of the stable side, then those of the candidate. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 2 * SPLITTER_ROWS);
    __type(key, __u32);
    __type(value, struct sluice_count);
} sluice_counts SEC(".maps");

/*
 * Runs a side's chain and comes back with what it returned. It must be a global function: of a static one the verifier
 * up to Linux 6.12 believes that it returns what stands behind the tail call. Constant indices make direct jumps.
 */
__noinline int sluice_walk(SLUICE_CONTEXT *ctx, __u32 side)
{
    int returned = SPLITTER_FALLTHROUGH;

    if (side == SPLITTER_CANDIDATE)
        bpf_tail_call(ctx, &sluice_sides, SPLITTER_CANDIDATE);
    else
        bpf_tail_call(ctx, &sluice_sides, SPLITTER_STABLE);
    asm volatile("" : "+r"(returned));
    return returned;
}

/* The row of what a chain returned. One that goes on lets the packet pass, as far as this hook is concerned. */
static __always_inline __u32 splitter_row(__u32 returned)
{
    __u32 verdict = sluice_verdict(returned);

    if (verdict == SLUICE_NEXT)
        return SLUICE_PASS;
    return verdict < SLUICE_NEXT ? verdict : SLUICE_ABORTED;
}

SEC(SLUICE_SECTION) int sluice_splitter(SLUICE_CONTEXT *ctx)
{
    __u64 length = sluice_length(ctx);
    __u64 flow = flow_of(ctx, sluice_seed);
    __u32 zero = 0, *step = bpf_map_lookup_elem(&sluice_step, &zero);
    __u32 side = SPLITTER_STABLE;

    if (flow && step && (__u32)(flow >> 32) < sluice_thresholds[*step % SPLITTER_STEPS])
        side = SPLITTER_CANDIDATE;

    __u32 returned = sluice_walk(ctx, side);

    if (returned == SPLITTER_FALLTHROUGH) {
        sluice_add(&sluice_counts, side * SPLITTER_ROWS + SPLITTER_ROW_FALLTHROUGH, length);
        return sluice_fault();
    }
    sluice_add(&sluice_counts, side * SPLITTER_ROWS + splitter_row(returned), length);
    return returned_whole(returned);
}
