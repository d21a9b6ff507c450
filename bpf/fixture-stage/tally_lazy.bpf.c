// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tally_v2.h"

static __always_inline int count_source(__u32 source, __u64 bytes)
{
    struct tally *count = bpf_map_lookup_elem(&tally, &source);

    if (!count) {
        struct tally_v1 *before = bpf_map_lookup_elem(&tally_v1, &source);
        struct tally fresh = {.packets = before ? before->packets : 0};

        count = sluice_find(&tally, &source, &fresh);
        if (!count)
            return -1;
    }
    count_packet(count, bytes);
    return 0;
}
