/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * A stage that counts packets by their IPv4 source in a state map, so that a test can hold the sum against what was
 * sent. Each object declares `tally` and says in `count_source` how a packet is counted there.
 */

#include <linux/if_ether.h>
#include <linux/ip.h>

#include <sluice/xdp_stage.h>

/* What it gives every packet. Set before load. */
const volatile __u32 verdict = SLUICE_NEXT;

#define TALLY_SOURCES 131072

/* As version 1 had it. */
struct tally_v1 {
    __u64 packets;
};

struct tally {
    __u64 bytes;
    __u64 packets;
};

/* 0, or -1 if there is no room. */
static __always_inline int count_source(__u32 source, __u64 bytes);

SLUICE_XDP_STAGE(tally_sources)
{
    struct iphdr *ip = (void *)(long)ctx->data + sizeof(struct ethhdr);

    if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
        return SLUICE_NEXT;
    return count_source(ip->saddr, ctx->data_end - ctx->data) ? XDP_ABORTED : verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
