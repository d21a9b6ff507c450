/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/*
 * Which packets become samples: so many a second of each CPU and no more, whatever comes, and none that could be
 * foreseen. The stage asks sluice_sample for each packet, and puts what it has to say into the ring `samples`. A sample
 * that says `seen` and its CPU stands for the packets since that CPU's last one.
 */

/* ns from sample to sample of a CPU, 0 for none. Set before load. */
const volatile __u64 sample_interval = 0;

struct sluice_sampling {
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
    __type(value, struct sluice_sampling);
} sampling SEC(".maps");

/* Whoever reads it may be behind: what is lost then are samples, never packets. */
struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 20);
} samples SEC(".maps");

#define SLUICE_SAMPLE_GAP_MAX (1u << 20)
/* That many at once, after a pause. */
#define SLUICE_SAMPLE_BURST 64
/* How often, in packets, it is looked whether samples have become rare: as they do when a flood ends. */
#define SLUICE_SAMPLE_LOOK 64

/* Finds the gap at which the rate is what was asked for, and draws when the next one is, so that none can keep step. */
static __always_inline void sluice_next_sample(struct sluice_sampling *state, __u64 interval, __u64 now)
{
    __u64 elapsed = now - state->last, gap = state->gap;

    if (elapsed < interval)
        gap *= 2;
    else if (elapsed > 2 * interval)
        gap /= 2;
    if (elapsed > 16 * interval || !gap)
        gap = 1;
    if (gap > SLUICE_SAMPLE_GAP_MAX)
        gap = SLUICE_SAMPLE_GAP_MAX;
    state->gap = gap;
    state->last = now;
    state->next = state->seen + 1 + (gap * 2 * bpf_get_prandom_u32() >> 32);
}

/* Whether a packet is to be a sample; see sluice_sample. */
static __always_inline int sluice_sample_due(struct sluice_sampling *state, __u64 interval, int wanted)
{
    __u64 now;

    state->seen++;
    if (state->seen < state->next && !wanted) {
        if (state->seen % SLUICE_SAMPLE_LOOK || bpf_ktime_get_coarse_ns() < state->last + 16 * interval)
            return 0;
    }
    now = bpf_ktime_get_ns();
    if (!wanted)
        sluice_next_sample(state, interval, now);
    if (state->due > now + SLUICE_SAMPLE_BURST * interval)
        return 0;
    state->due = (state->due < now ? now : state->due) + interval;
    return 1;
}

/*
 * The CPU's state if a packet is to be a sample: its turn has come, or it is `wanted` for reasons of the stage's own.
 * Else NULL. Never more than one each `sample_interval`.
 */
static __always_inline const struct sluice_sampling *sluice_sample(int wanted)
{
    struct sluice_sampling *state;
    __u32 zero = 0;

    if (!sample_interval)
        return NULL;
    state = bpf_map_lookup_elem(&sampling, &zero);
    return state && sluice_sample_due(state, sample_interval, wanted) ? state : NULL;
}
