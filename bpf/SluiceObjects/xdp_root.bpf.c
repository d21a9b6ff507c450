// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <sluice/counters.h>

/* The verdict if no generation is live: XDP_PASS to fail open, XDP_DROP to fail closed. Set before load. */
const volatile __u32 sluice_on_fault = XDP_PASS;

/* The first stage of the live generation. Writing its one slot is the flip. */
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} sluice_entry SEC(".maps");

/* The packets that found the slot empty. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sluice_count);
} sluice_root_counters SEC(".maps");

/* The one program that is attached to the hook, once and for good. */
SEC("xdp") int sluice_xdp_root(struct xdp_md *ctx)
{
    bpf_tail_call(ctx, &sluice_entry, 0);
    sluice_add(&sluice_root_counters, 0, bpf_xdp_get_buff_len(ctx));
    return sluice_on_fault;
}

char _license[] SEC("license") = "Dual BSD/GPL";
