/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "rules.h"

/* ns from sample to sample of a CPU, 0 for none. Set before load. */
const volatile __u64 sample_interval = 0;

#define DOS_SAMPLE_GAP_MAX (1u << 20)
/* That many at once, after a pause. */
#define DOS_SAMPLE_BURST 64
/* How often, in packets, it is looked whether samples have become rare: as they do when a flood ends. */
#define DOS_SAMPLE_LOOK 64

struct dos_sampling {
    __u64 seen;
    /* Which packet is the next sample. */
    __u64 next;
    /* Packets from sample to sample, on average. */
    __u64 gap;
    /* When the last one was. */
    __u64 last;
    /* When the next one conforms. */
    __u64 due;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dos_sampling);
} sampling SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 20);
} samples SEC(".maps");

/* Finds the gap at which the rate is what was asked for, and draws when the next one is, so that none can keep step. */
static __always_inline void dos_next_sample(struct dos_sampling *state, __u64 now)
{
    __u64 elapsed = now - state->last, gap = state->gap;

    if (elapsed < sample_interval)
        gap *= 2;
    else if (elapsed > 2 * sample_interval)
        gap /= 2;
    if (elapsed > 16 * sample_interval || !gap)
        gap = 1;
    if (gap > DOS_SAMPLE_GAP_MAX)
        gap = DOS_SAMPLE_GAP_MAX;
    state->gap = gap;
    state->last = now;
    state->next = state->seen + 1 + (gap * 2 * bpf_get_prandom_u32() >> 32);
}

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
    struct dos_sampling *state;
    __u64 now;

    if (!sample_interval)
        return;
    state = bpf_map_lookup_elem(&sampling, &zero);
    if (!state)
        return;
    state->seen++;
    if (state->seen < state->next && !way->walk.sampled) {
        if (state->seen % DOS_SAMPLE_LOOK || bpf_ktime_get_coarse_ns() < state->last + 16 * sample_interval)
            return;
    }
    now = bpf_ktime_get_ns();
    if (!way->walk.sampled)
        dos_next_sample(state, now);
    if (state->due > now + DOS_SAMPLE_BURST * sample_interval)
        return;
    state->due = (state->due < now ? now : state->due) + sample_interval;
    dos_submit_sample(way, reason, state->seen);
}
