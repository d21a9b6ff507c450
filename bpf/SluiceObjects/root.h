/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

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
SEC(SLUICE_SECTION) int sluice_root(SLUICE_CONTEXT *ctx)
{
    bpf_tail_call(ctx, &sluice_entry, 0);
    sluice_add(&sluice_root_counters, 0, sluice_length(ctx));
    return sluice_fault();
}
