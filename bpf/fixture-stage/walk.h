/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * The stages themselves. Whoever includes this says before:
 *
 *     leave_stamp(ctx)  writes `generation`; 0 if that could be done
 *     take_stamp(ctx)   whether it is `generation` that was written; leaves all as it was. Negative if it cannot be
 * read counts(ctx)       whether this walk is one of those that `consistent` counts; all are looked at
 */

SLUICE_STAGE(stamp)
{
    return leave_stamp(ctx) ? (__u32)-1 : SLUICE_NEXT;
}

SLUICE_STAGE(check)
{
    __u32 zero = 0;
    struct marks *seen = bpf_map_lookup_elem(&marks, &zero);
    int same = take_stamp(ctx);

    if (!seen || same < 0)
        return -1;
    if (!same)
        __sync_fetch_and_add(&seen->mixed, 1);
    else if (counts(ctx))
        __sync_fetch_and_add(&seen->consistent, 1);
    return verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
