// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tally.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, TALLY_SOURCES);
    __type(key, __u32);
    __type(value, struct tally_v1);
} tally SEC(".maps") SLUICE_STATE;

static __always_inline int count_source(__u32 source, __u64 bytes)
{
    struct tally_v1 none = {};
    struct tally_v1 *count = sluice_find(&tally, &source, &none);

    (void)bytes;
    if (!count)
        return -1;
    __sync_fetch_and_add(&count->packets, 1);
    return 0;
}
