// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The body of udp-ratelimit where a harness can give it other packets: harness_skb.bpf.c. */
#include <sluice/tc_stage.h>

#define UDP_SET_MARK(ctx, mark_of_policy) ((ctx)->cb[0] = (ctx)->mark = (mark_of_policy))

#include "../udp-ratelimit/judge.h"

SLUICE_TC_STAGE(udp_ratelimit)
{
    return udp_judge(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
