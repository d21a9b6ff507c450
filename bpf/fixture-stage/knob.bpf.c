// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/xdp_stage.h>

/* The verdict of `knob`, as a plugin's `run` sets it while the stage is live; 0 for the next stage's turn. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} knob_verdict SEC(".maps");

SLUICE_XDP_STAGE(knob)
{
    __u32 zero = 0;
    __u32 *verdict = bpf_map_lookup_elem(&knob_verdict, &zero);

    (void)ctx;
    return verdict && *verdict ? *verdict : SLUICE_NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
