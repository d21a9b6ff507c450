// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/xdp_stage.h>

/* A stage whose maps ask for more than a stage may have: to be pinned by name, and programs of others. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
    __uint(pinning, LIBBPF_PIN_BY_NAME);
} sluicefixture_pinned SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} programs SEC(".maps");

SLUICE_XDP_STAGE(greedy)
{
    __u32 zero = 0;
    __u32 *value = bpf_map_lookup_elem(&sluicefixture_pinned, &zero);

    bpf_tail_call(ctx, &programs, 0);
    return value && *value ? XDP_DROP : SLUICE_NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
