// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/xdp_stage.h>

/* Gives XDP_TX, where its plan promises that it goes on. */
SLUICE_XDP_STAGE(wrong_verdict)
{
    (void)ctx;
    return XDP_TX;
}

/* Gives a number that is no verdict. */
SLUICE_XDP_STAGE(invalid_verdict)
{
    (void)ctx;
    return 77;
}

char _license[] SEC("license") = "Dual BSD/GPL";
