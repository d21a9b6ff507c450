/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "returned.h"

/*
 * What stands around an adopted object's program: a stage like any other, whose body is that program. It is never
 * loaded as it is: the weaver (Sources/BPF/Weave) puts the program's instructions in the place of the call of
 * `adopted`.
 */

/* The number of no helper; the weaver looks for it. */
static __u32 (*const adopted)(SLUICE_CONTEXT *ctx) = (void *)0x51ce0001;

/* A bit for each verdict after which the next stage has its turn. Set before load. */
const volatile __u32 sluice_proceed_on = 1 << SLUICE_PASS;

/* With a frame of its own, for a program that may need all of the stack: this stage leaves it to it. */
static __noinline void adopt_add(__u32 row, __u64 bytes)
{
    sluice_add(&sluice_counters, row, bytes);
}

static __always_inline void adopt_add_here(__u32 row, __u64 bytes)
{
    sluice_add(&sluice_counters, row, bytes);
}

/* `add` is constant wherever this is inlined: no call of a pointer is left. */
static __always_inline int adopt_finish(SLUICE_CONTEXT *ctx, __u32 returned, __u64 length, void (*add)(__u32, __u64))
{
    __u32 verdict = sluice_verdict(returned);

    /* Behind the last stage there is nobody to ask: what the program said holds. */
    if (verdict == SLUICE_NEXT || (verdict < SLUICE_NEXT && sluice_next && sluice_proceed_on & 1 << verdict)) {
        if (sluice_counting)
            add(SLUICE_ROW_NEXT, length);
        if (!sluice_next)
            return SLUICE_GO_ON;
        bpf_tail_call(ctx, &sluice_chain, sluice_next);
        if (sluice_counting)
            add(SLUICE_ROW_FALLTHROUGH, length);
        return sluice_fault();
    }
    if (verdict > SLUICE_NEXT) {
        if (sluice_counting)
            add(SLUICE_ROW_INVALID, length);
        return SLUICE_REFUSED;
    }
    if (sluice_counting)
        add(verdict, length);
    return returned_whole(returned);
}

/* For a program whose instructions take the call's place. */
SEC(SLUICE_SECTION) int sluice_adopt(SLUICE_CONTEXT *ctx)
{
    __u64 length = sluice_counting ? sluice_length(ctx) : 0;

    return adopt_finish(ctx, adopted(ctx), length, adopt_add_here);
}

/* For one that stays a function of its own. */
SEC(SLUICE_SECTION) int sluice_adopt_called(SLUICE_CONTEXT *ctx)
{
    __u64 length = sluice_counting ? sluice_length(ctx) : 0;

    return adopt_finish(ctx, adopted(ctx), length, adopt_add);
}
