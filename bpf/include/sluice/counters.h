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

/* No atomic: the map is per CPU, and an XDP program runs with softirqs off. */
SLUICE_ADD void sluice_add(void *map, __u32 index, __u64 bytes)
{
    struct sluice_count *count = bpf_map_lookup_elem(map, &index);

    if (count) {
        count->packets++;
        count->bytes += bytes;
    }
}
