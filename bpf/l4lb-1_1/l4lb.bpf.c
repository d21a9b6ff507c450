// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#define L4LB_SAMPLES
#include "../l4lb/stage.h"

SLUICE_XDP_STAGE(l4lb)
{
    return l4lb_take(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
