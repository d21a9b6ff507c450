/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What everything gets: SLUICE_NEXT, SLUICE_PASS or SLUICE_DROP. Set before load. */
const volatile __u32 verdict = SLUICE_NEXT;

SLUICE_STAGE(noop)
{
    (void)ctx;
    return verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
