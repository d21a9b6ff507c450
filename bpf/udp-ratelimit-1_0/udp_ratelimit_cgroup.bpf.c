// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/cgroup_skb_stage.h>

/* For the stages behind, as at a socket filter, and for whoever reads the packet (SO_RCVMARK). */
#define UDP_SET_MARK(ctx, mark_of_policy) ((ctx)->cb[0] = (ctx)->mark = (mark_of_policy))

#include "../udp-ratelimit/judge.h"

SLUICE_CGROUP_SKB_STAGE(udp_ratelimit)
{
    return udp_judge(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
