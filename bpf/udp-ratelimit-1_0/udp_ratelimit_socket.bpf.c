// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/socket_filter_stage.h>

/* For the stages behind only: a socket filter can give the packet nothing that lasts. */
#define UDP_SET_MARK(ctx, mark_of_policy) ((ctx)->cb[0] = (mark_of_policy))

#include "../udp-ratelimit/judge.h"

SLUICE_SOCKET_FILTER_STAGE(udp_ratelimit)
{
    return udp_judge(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
