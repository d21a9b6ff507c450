/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* What every counter of Sluice is: two numbers that a CPU adds to on its own; readers add up the CPUs. */
struct sluice_count {
    __u64 packets;
    __u64 bytes;
};

/* Functions with a frame of their own are for a stage that has no stack to spare. */
#ifndef SLUICE_ADD
#define SLUICE_ADD static __always_inline
#endif

/*
 * Whether a program may be interrupted by another run of itself on its CPU, as those are that run for a process. XDP
 * programs and traffic control run with softirqs off: they need no atomic operation, as the map is per CPU.
 */
#ifndef SLUICE_INTERRUPTIBLE
#define SLUICE_INTERRUPTIBLE 0
#endif

SLUICE_ADD void sluice_add(void *map, __u32 index, __u64 bytes)
{
    struct sluice_count *count = bpf_map_lookup_elem(map, &index);

    if (!count)
        return;
    if (SLUICE_INTERRUPTIBLE) {
        __sync_fetch_and_add(&count->packets, 1);
        __sync_fetch_and_add(&count->bytes, bytes);
    } else {
        count->packets++;
        count->bytes += bytes;
    }
}
