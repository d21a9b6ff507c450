/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * Two stages that find out whether one packet saw two generations: `stamp` writes its generation into the packet, and
 * `check`, behind it in the chain, compares. Each object lays out `struct marks`, whose members are `consistent` and
 * `mixed`, before it includes this.
 */

#include <sluice/xdp_stage.h>

/* The generation that this program was loaded for. Set before load. */
const volatile __u32 generation = 0;
/* What `check` gives every packet. Set before load. */
const volatile __u32 verdict = SLUICE_NEXT;

/* The stamp lies in the last four bytes of the Ethernet source address, where no checksum covers it. */
#define STAMP_OFFSET 8

/* What `check` saw, over all generations. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct marks);
} marks SEC(".maps") SLUICE_STATE;

static __always_inline __u32 *stamp_of(struct xdp_md *ctx)
{
    __u8 *data = (__u8 *)(long)ctx->data;

    if (data + STAMP_OFFSET + sizeof(__u32) > (__u8 *)(long)ctx->data_end)
        return 0;
    return (__u32 *)(data + STAMP_OFFSET);
}

SLUICE_XDP_STAGE(stamp)
{
    __u32 *stamp = stamp_of(ctx);

    if (!stamp)
        return XDP_ABORTED;
    *stamp = generation;
    return SLUICE_NEXT;
}

SLUICE_XDP_STAGE(check)
{
    __u32 *stamp = stamp_of(ctx);
    __u32 zero = 0;
    struct marks *seen = bpf_map_lookup_elem(&marks, &zero);

    if (!stamp || !seen)
        return XDP_ABORTED;
    if (*stamp == generation)
        seen->consistent++;
    else
        seen->mixed++;
    return verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
