/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <sluice/sample.h>

#include "rules.h"

/* ns from sample to sample of a CPU, 0 for none. Set before load. */
const volatile __u64 sample_interval = 0;

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sluice_sampling);
} sampling SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 20);
} samples SEC(".maps");

static __attribute__((noinline)) int dos_submit_sample(struct dos_way *way, __u32 reason, __u64 seen)
{
    const struct dos_walk *walk = &way->walk;
    __u32 captured = walk->frame > DOS_CAPTURED ? DOS_CAPTURED : walk->frame;
    struct dos_sample *sample;

    if (captured < 1)
        return 0;
    sample = bpf_ringbuf_reserve(&samples, sizeof(*sample), 0);
    if (!sample)
        return 0;
    sample->seen = seen;
    sample->cpu = bpf_get_smp_processor_id();
    sample->length = walk->frame > 65535 ? 65535 : walk->frame;
    sample->reason = reason;
    sample->captured = captured;
    __builtin_memset(sample->frame, 0, sizeof(sample->frame));
    if (bpf_xdp_load_bytes(way->ctx, 0, sample->frame, captured))
        bpf_ringbuf_discard(sample, 0);
    else
        bpf_ringbuf_submit(sample, 0);
    return 0;
}

/* Samples a packet if its turn has come, or a rule has drawn it. Never more than was asked for. */
static __always_inline void dos_sample(struct dos_way *way, __u32 reason)
{
    __u32 zero = 0;
    struct sluice_sampling *state;

    if (!sample_interval)
        return;
    state = bpf_map_lookup_elem(&sampling, &zero);
    if (state && sluice_sample_due(state, sample_interval, way->walk.sampled))
        dos_submit_sample(way, reason, state->seen);
}
