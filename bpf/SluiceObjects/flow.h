/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * A number for the flow that a packet belongs to. Whoever includes this says before how a packet is read:
 *
 *     flow_read(ctx, offset, to, size)  copies `size` bytes, a constant, to `to`; 0 if there are as many
 */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "flow_hash.h"

/* Numbers that <linux/in6.h> leaves to libc. */
#define FLOW_HOPOPTS  0
#define FLOW_ROUTING  43
#define FLOW_DSTOPTS  60
#define FLOW_FRAGMENT 44

#define FLOW_EXTENSION_HEADERS 6
/* Further in than any header that is read; tells the verifier that offsets are small. */
#define FLOW_OFFSET_MAX 4095

/* More fragments, or an offset; the reserved and the "don't fragment" bit do not make one. */
#define FLOW_FRAGMENT_BITS 0x3fff

struct flow_extension {
    __u8 next;
    __u8 length;
};

struct flow_ports {
    __be16 source;
    __be16 destination;
};

/* Ports are part of a flow where the protocol has them. False if they are cut off. */
static __always_inline int flow_read_ports(SLUICE_CONTEXT *ctx, __u32 offset, __u8 protocol, struct flow_ports *ports)
{
    ports->source = ports->destination = 0;
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_SCTP && protocol != IPPROTO_UDPLITE &&
        protocol != IPPROTO_DCCP)
        return 1;
    return offset <= FLOW_OFFSET_MAX && !flow_read(ctx, offset, ports, sizeof(*ports));
}

static __always_inline __u64 flow_of_ipv4(SLUICE_CONTEXT *ctx, __u32 offset, __u64 seed)
{
    struct iphdr ip;
    struct flow_ports ports;

    if (flow_read(ctx, offset, &ip, sizeof(ip)) || ip.ihl < 5)
        return 0;
    if (ip.frag_off & bpf_htons(FLOW_FRAGMENT_BITS))
        return 0;
    __u64 source = (__u64)ip.saddr << 16, destination = (__u64)ip.daddr << 16;

    if (!flow_read_ports(ctx, offset + ip.ihl * 4, ip.protocol, &ports))
        return 0;
    return flow_hash(flow_mix((source | ports.source) ^ seed), flow_mix((destination | ports.destination) ^ seed),
                     ip.protocol);
}

static __always_inline __u64 flow_of_ipv6(SLUICE_CONTEXT *ctx, __u32 offset, __u64 seed)
{
    __u32 transport = offset + sizeof(struct ipv6hdr);
    struct ipv6hdr ip;
    struct flow_ports ports;

    if (flow_read(ctx, offset, &ip, sizeof(ip)))
        return 0;
    __u8 protocol = ip.nexthdr;

    for (int i = 0; i < FLOW_EXTENSION_HEADERS; i++) {
        struct flow_extension extension;

        if (protocol == FLOW_FRAGMENT)
            return 0;
        if (protocol != FLOW_HOPOPTS && protocol != FLOW_ROUTING && protocol != FLOW_DSTOPTS)
            break;
        if (transport > FLOW_OFFSET_MAX || flow_read(ctx, transport, &extension, sizeof(extension)))
            return 0;
        protocol = extension.next;
        transport += (extension.length + 1) * 8;
    }
    if (!flow_read_ports(ctx, transport, protocol, &ports))
        return 0;
    return flow_hash(flow_end_ipv6(&ip.saddr, ports.source, seed), flow_end_ipv6(&ip.daddr, ports.destination, seed),
                     protocol);
}

/*
 * The flow of a packet whose IP header begins at `offset`: of its addresses, and its ports where the protocol has some;
 * the same for both directions. 0 for what is no flow: no IP, cut-off headers, and fragments, of which only the first
 * has ports. With a frame of its own: who calls it makes a tail call later, and may have 256 bytes of stack at most.
 */
static __noinline __u64 flow_of_ip(SLUICE_CONTEXT *ctx, __be16 protocol, __u32 offset, __u64 seed)
{
    switch (protocol) {
    case bpf_htons(ETH_P_IP):
        return flow_of_ipv4(ctx, offset, seed);
    case bpf_htons(ETH_P_IPV6):
        return flow_of_ipv6(ctx, offset, seed);
    default:
        return 0;
    }
}
