// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tally_v2.h"

static __always_inline int count_source(__u32 source, __u64 bytes)
{
    struct tally none = {};
    struct tally *count = sluice_find(&tally, &source, &none);

    if (!count)
        return -1;
    count_packet(count, bytes);
    return 0;
}

SLUICE_MERGE(tally_v1, __u32, struct tally_v1)
{
    struct tally none = {};
    struct tally *count = sluice_find(&tally, key, &none);

    if (!count)
        return -1;
    __sync_fetch_and_add(&count->packets, before->packets);
    return 0;
}
