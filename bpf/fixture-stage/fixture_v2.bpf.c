// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/xdp_stage.h>

/* As large as that of fixture.bpf.c, but laid out otherwise: only its BTF tells them apart. */
struct marks {
    __u64 mixed;
    __u64 consistent;
};

#include "fixture.h"
#include "stamp_xdp.h"

/* As fixture.bpf.c has it. */
struct marks_v1 {
    __u64 consistent;
    __u64 mixed;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct marks_v1);
} marks_before SEC(".maps") SLUICE_STATE_BEFORE(marks);

/* All CPUs' old values go to the one that this runs on: readers add them up. */
SLUICE_MERGE(marks_before, __u32, struct marks_v1)
{
    struct marks *sum = bpf_map_lookup_elem(&marks, key);

    (void)before;
    if (!sum)
        return -1;
    for (__u32 cpu = 0; cpu < 1024; cpu++) {
        struct marks_v1 *count = bpf_map_lookup_percpu_elem(&marks_before, key, cpu);

        if (!count)
            break;
        __sync_fetch_and_add(&sum->consistent, count->consistent);
        __sync_fetch_and_add(&sum->mixed, count->mixed);
    }
    return 0;
}

#include "walk.h"
