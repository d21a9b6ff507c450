/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <sluice/sample.h>

#include "rules.h"

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
    const struct sluice_sampling *state = sluice_sample(way->walk.sampled);

    if (state)
        dos_submit_sample(way, reason, state->seen);
}
