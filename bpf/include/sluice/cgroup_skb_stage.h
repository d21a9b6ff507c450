/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * A stage at `cgroup-skb-ingress:PATH` or `cgroup-skb-egress:PATH`, begun by SLUICE_CGROUP_SKB_STAGE(name): packets
 * that sockets of the cgroup get or send. `ctx` is a struct __sk_buff whose data begins with the IP header. SLUICE_DROP
 * drops the packet, of which a sender hears as EPERM.
 */

#include <linux/bpf.h>

#include <sluice/allow_or_deny.h>

#define SLUICE_CONTEXT struct __sk_buff
#define SLUICE_SECTION "cgroup/skb"

static __always_inline __u64 sluice_length(struct __sk_buff *ctx)
{
    return ctx->len;
}

#include <sluice/stage.h>

#define SLUICE_CGROUP_SKB_STAGE(name) SLUICE_STAGE(name)
