// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../tc-egress/judge.h"

SLUICE_TC_STAGE(tc_egress)
{
    return egress_judge(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
