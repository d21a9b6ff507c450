/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What the director's two programs know alike, set before load: the one for packets, and the one for its own checks. */

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "types.h"

/* Of the outer header: where packets come from, in network byte order; 0 for none. */
const volatile __be32 source_v4 = 0;
const volatile struct l4lb_address source_v6 = {};
/* Port of the tunnel. Host byte order. */
const volatile __u16 gue_port = 6080;
/*
 * Source ports of health checks, host byte order; none unless checks go through the tunnel. Those are of the server's
 * own address, where they leave they are sent through the tunnel to the VIP, and its answers are told as the server's.
 */
const volatile __u16 check_first = 0;
const volatile __u16 check_count = 0;

/* By their numbers. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct l4lb_check);
} checks SEC(".maps");

/* What is checked from a port of this machine; NULL if it is no check's. */
static __always_inline const struct l4lb_check *l4lb_check_from(__be16 port)
{
    __u32 number = bpf_ntohs(port) - check_first;

    return number < check_count ? bpf_map_lookup_elem(&checks, &number) : NULL;
}
