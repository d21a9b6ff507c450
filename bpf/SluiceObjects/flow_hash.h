/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/in6.h>

/* One end of a flow as a number that looks random: an odd multiplier each half, folded so that high bits reach low
 * ones. */
static __always_inline __u64 flow_mix(__u64 value)
{
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93ULL;
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93ULL;
    return value ^ value >> 32;
}

/* The same for both directions: which end sent the packet is lost in the sum. Never 0, which stands for no flow. */
static __always_inline __u64 flow_hash(__u64 source, __u64 destination, __u64 protocol)
{
    return flow_mix(source + destination + protocol) | 1;
}

/* An address and a port. */
static __always_inline __u64 flow_end_ipv6(const struct in6_addr *address, __be16 port, __u64 seed)
{
    __u64 high = (__u64)address->s6_addr32[0] << 32 | address->s6_addr32[1];
    __u64 low = (__u64)address->s6_addr32[2] << 32 | address->s6_addr32[3];

    return flow_mix(flow_mix(high ^ seed) + low + ((__u64)port << 48 | port));
}
