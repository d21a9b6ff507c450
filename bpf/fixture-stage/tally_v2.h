/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "tally.h"

/* Version 2's state, which counts bytes too. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, TALLY_SOURCES);
    __type(key, __u32);
    __type(value, struct tally);
} tally SEC(".maps") SLUICE_STATE;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct tally_v1);
} tally_v1 SEC(".maps") SLUICE_STATE_BEFORE(tally);

static __always_inline void count_packet(struct tally *count, __u64 bytes)
{
    __sync_fetch_and_add(&count->bytes, bytes);
    __sync_fetch_and_add(&count->packets, 1);
}
