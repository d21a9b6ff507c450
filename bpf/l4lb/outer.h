/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "director.h"
#include "types.h"

#define L4LB_TTL 64
/* Outer ports are from here up. */
#define L4LB_FIRST_PORT 0xc000

static __always_inline __u16 l4lb_fold(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return ~((sum & 0xffff) + (sum >> 16));
}

/* An IPv4 header without options, and its checksum: of what is written, which is not read again. */
static __always_inline void l4lb_fill_v4(struct iphdr *ip, __u8 tos, __u16 total, __u16 fragment, __u8 protocol,
                                         __be32 source, __be32 destination)
{
    __u32 first = 0x45 | tos << 8, length = bpf_htons(total), flags = bpf_htons(fragment);
    __u32 ttl = L4LB_TTL | protocol << 8;
    __u32 sum = first + length + flags + ttl + (source & 0xffff) + (source >> 16);

    sum += (destination & 0xffff) + (destination >> 16);
    *(__u32 *)ip = first | length << 16;
    *((__u32 *)ip + 1) = flags << 16;
    *((__u32 *)ip + 2) = ttl | (__u32)l4lb_fold(sum) << 16;
    ip->saddr = source;
    ip->daddr = destination;
}

/* UDP and GUE before an inner packet of `total` bytes. Names no server. */
static __always_inline void l4lb_fill_gue(struct udphdr *udp, struct l4lb_gue *gue, __be16 source, __u32 total,
                                          __u8 protocol, __u32 place)
{
    udp->source = source;
    udp->dest = bpf_htons(gue_port);
    udp->len = bpf_htons(sizeof(*udp) + sizeof(*gue) + total);
    udp->check = 0;
    *gue = (struct l4lb_gue){
        .length = sizeof(*gue) / 4 - 1,
        .protocol = protocol,
        .magic = L4LB_GUE_MAGIC,
        .next = L4LB_GUE_VERSION << 4 | place,
    };
}
