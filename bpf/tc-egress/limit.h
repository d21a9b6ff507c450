/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <sluice/buckets.h>

#include "maps.h"

#define EGRESS_SKEW ((__u64)SLUICE_NSEC_PER_SEC)

static __always_inline __u64 egress_word(__u64 *word)
{
    return *(volatile __u64 *)word;
}

static __always_inline __u64 egress_cost(__u64 each, __u64 count)
{
    return each * count >> SLUICE_COST_SHIFT;
}

/*
 * Whether a packet conforms, by a cell of the class's own. Of bytes, what is left lets one packet through, whatever its
 * length.
 */
static __always_inline int egress_conforms(__u64 *due, __u64 now, __u64 cost, __u64 tolerance, __u64 reach)
{
#pragma unroll
    for (int i = 0; i < SLUICE_TAKE_TRIES; i++) {
        enum sluice_taken taken = sluice_take_tokens(due, egress_word(due), 0, now, cost, tolerance, reach);

        if (taken != SLUICE_AGAIN)
            return taken == SLUICE_TAKEN;
    }
    return 0;
}

/* When a packet may leave, at the earliest; 0 if that is beyond the horizon. */
static __always_inline __u64 egress_departure(__u64 *departure, __u64 now, __u64 cost)
{
#pragma unroll
    for (int i = 0; i < SLUICE_TAKE_TRIES; i++) {
        __u64 word = egress_word(departure);
        __s64 ahead = word - now;

        if (ahead < 0)
            ahead = 0;
        if (ahead > (__s64)horizon) {
            /* Only by one packet more than the horizon, or by a generation that was slower. */
            if (ahead <= (__s64)(horizon + cost + EGRESS_SKEW))
                return 0;
            ahead = 0;
        }
        if (__sync_val_compare_and_swap(departure, word, now + ahead + cost) == word)
            return now + ahead;
    }
    return 0;
}
