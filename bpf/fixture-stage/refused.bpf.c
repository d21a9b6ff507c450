// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/xdp_stage.h>

/* The verifier refuses it: it reads the packet without a look at where the packet ends. */
SLUICE_XDP_STAGE(refused)
{
    return *(__u8 *)(long)ctx->data ? SLUICE_NEXT : XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
