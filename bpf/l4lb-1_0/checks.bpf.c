// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../l4lb/check_stage.h"

SLUICE_TC_STAGE(l4lb_checks)
{
    return l4lb_take_check(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
