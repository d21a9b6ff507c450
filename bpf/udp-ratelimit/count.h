/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "packet.h"

/* Drawn by the first packet. */
static __always_inline __u64 udp_secret(void)
{
    __u32 zero = 0;
    __u64 *secret = bpf_map_lookup_elem(&bucket_secret, &zero);

    return secret ? sluice_secret(secret) : 0;
}

/* Puts the one in the place of the rarest of the set. A loss to another CPU loses one packet of the count. */
static __always_inline void udp_replace(struct udp_offender *rarest, __u64 tag, const struct udp_address *address,
                                        __u32 kind, __u32 length)
{
    __u64 old = *(volatile __u64 *)&rarest->tag;

    if (__sync_val_compare_and_swap(&rarest->tag, old, tag) != old)
        return;
    rarest->address = *address;
    rarest->kind = kind;
    rarest->length = length;
    rarest->before = rarest->packets;
    __sync_fetch_and_add(&rarest->packets, 1);
}

/* Counts a packet over a limit to whom it is of: those with the most are known exactly, or nearly so (Space-Saving). */
static __always_inline void udp_count_offender(const struct udp_address *address, __u32 kind, __u32 length)
{
    __u64 tag = sluice_mix(sluice_mix(sluice_mix(udp_secret(), kind + 1), address->high), address->low) | 1;
    __u32 index = tag >> 32 & last_offender_set;
    struct udp_offenders *set = bpf_map_lookup_elem(&offenders, &index);
    struct udp_offender *rarest;

    if (!set)
        return;
    rarest = &set->ways[0];
    for (int i = 0; i < UDP_OFFENDERS; i++) {
        struct udp_offender *way = &set->ways[i];

        if (way->tag == tag) {
            __sync_fetch_and_add(&way->packets, 1);
            return;
        }
        if (way->packets < rarest->packets)
            rarest = way;
    }
    udp_replace(rarest, tag, address, kind, length);
}

static __always_inline void udp_count_drop(__u32 place)
{
    __u32 index = place / UDP_DROPS;
    struct udp_drops *group = bpf_map_lookup_elem(&drops, &index);

    if (group)
        __sync_fetch_and_add(&group->packets[place & (UDP_DROPS - 1)], 1);
}
