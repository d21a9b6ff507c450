/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "types.h"

#define DOS_NSEC_PER_SEC 1000000000ull
/* More CPUs than this taking tokens of one bucket in the same nanoseconds: its source is over any limit. */
#define DOS_LIMIT_TRIES 8

/*
 * Takes a token of the bucket of `key` in an LRU_HASH of struct dos_bucket, by the generic cell rate algorithm: `next`
 * is when the next packet is due if packets come evenly, `interval` ns apart; a packet conforms if it comes at most
 * `tolerance` ns before that. A packet that does not takes no token.
 */
static __always_inline int dos_conforms(void *map, struct dos_address *key, __u64 interval, __u64 tolerance)
{
    __u64 now = bpf_ktime_get_ns();
    struct dos_bucket *bucket = bpf_map_lookup_elem(map, key);

    if (!bucket) {
        struct dos_bucket fresh = {.next = now + interval};

        if (!bpf_map_update_elem(map, key, &fresh, BPF_NOEXIST))
            return 1;
        /* Another CPU was first. */
        bucket = bpf_map_lookup_elem(map, key);
        if (!bucket)
            return 1;
    }
    for (int i = 0; i < DOS_LIMIT_TRIES; i++) {
        __u64 next = *(volatile __u64 *)&bucket->next;
        __u64 due = next;

        /*
         * Idle for long, so the bucket is full; or further off than these numbers can put it, then a generation with
         * others did. The second is for CPUs that read the clock in another order than they get here.
         */
        if (due < now || due > now + tolerance + interval + DOS_NSEC_PER_SEC)
            due = now;
        if (due > now + tolerance)
            return 0;
        if (__sync_val_compare_and_swap(&bucket->next, next, due + interval) == next)
            return 1;
    }
    return 0;
}
