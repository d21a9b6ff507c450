/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "maps.h"

/* More CPUs than this at one cell in the same nanoseconds: the class is over any limit. */
#define EGRESS_TRIES 8
/* For CPUs that read the clock in another order than they get here. */
#define EGRESS_SKEW 1000000000ull

static __always_inline __u64 egress_word(__u64 *word)
{
    return *(volatile __u64 *)word;
}

static __always_inline __u64 egress_cost(__u64 each, __u64 count)
{
    return each * count >> EGRESS_COST_SHIFT;
}

/*
 * Takes tokens, by the generic cell rate algorithm: a packet conforms if it comes at most `tolerance` before it is due;
 * one that does not takes no token. Of bytes, what is left lets one packet through, whatever its length.
 */
static __always_inline int egress_conforms(__u64 *due, __u64 now, __u64 cost, __u64 tolerance, __u64 furthest)
{
#pragma unroll
    for (int i = 0; i < EGRESS_TRIES; i++) {
        __u64 word = egress_word(due);
        __s64 ahead = word - now;

        /* Full; or further off than this class can put it. */
        if (ahead < 0 || ahead > (__s64)furthest)
            ahead = 0;
        if (ahead > (__s64)tolerance)
            return 0;
        if (__sync_val_compare_and_swap(due, word, now + ahead + cost) == word)
            return 1;
    }
    return 0;
}

/* When a packet may leave, at the earliest; 0 if that is beyond the horizon. */
static __always_inline __u64 egress_departure(__u64 *departure, __u64 now, __u64 cost)
{
#pragma unroll
    for (int i = 0; i < EGRESS_TRIES; i++) {
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
