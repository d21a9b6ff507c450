// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/xdp_stage.h>

/* What every packet gets: SLUICE_NEXT, XDP_PASS or XDP_DROP. Set before load. */
const volatile __u32 verdict = SLUICE_NEXT;

SLUICE_XDP_STAGE(noop)
{
    (void)ctx;
    return verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
