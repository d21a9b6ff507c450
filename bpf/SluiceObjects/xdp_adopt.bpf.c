// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/xdp_stage.h>

/*
 * What stands around an adopted object's program: a stage like any other, whose body is that program. This object is
 * never loaded as it is: the weaver (Sources/BPF/Weave) puts the program's instructions in the place of the call below.
 */

/* The number of no helper; the weaver looks for it. */
static __u32 (*const adopted)(struct xdp_md *ctx) = (void *)0x51ce0001;

/* A bit for each verdict after which the next stage has its turn. Set before load. */
const volatile __u32 sluice_proceed_on = 1 << XDP_PASS;

SLUICE_XDP_STAGE(sluice_adopt)
{
    __u32 verdict = adopted(ctx);

    if (verdict > XDP_REDIRECT)
        return SLUICE_ROW_INVALID; /* not SLUICE_NEXT, which the program knows nothing of */
    /* Behind the last stage there is nobody to ask: what the program said holds. */
    if (sluice_next && sluice_proceed_on & 1 << verdict)
        return SLUICE_NEXT;
    return verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
