/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "maps.h"

/* The allow list. */
static __always_inline int dos_allowed(struct dos_packet *packet)
{
    if (allows_v4 && packet->family == 4) {
        __u32 address = packet->source.low >> 32;
        struct dos_prefix_v4 key = {.length = 32};

        __builtin_memcpy(key.address, &address, sizeof(key.address));
        return bpf_map_lookup_elem(&allow_v4, &key) != 0;
    }
    if (allows_v6 && packet->family == 6) {
        struct dos_prefix_v6 key = {.length = 128};

        __builtin_memcpy(key.address, &packet->source, sizeof(key.address));
        return bpf_map_lookup_elem(&allow_v6, &key) != 0;
    }
    return 0;
}
