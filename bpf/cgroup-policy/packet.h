/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What the rules ask of a packet. Included after <sluice/cgroup_skb_stage.h>. */

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "rules.h"

/* Numbers that <linux/in6.h> leaves to libc. */
#define POLICY_HOPOPTS  0
#define POLICY_ROUTING  43
#define POLICY_FRAGMENT 44
#define POLICY_AH       51
#define POLICY_DSTOPTS  60

#define POLICY_EXTENSION_HEADERS 8
/* Further in than any header that is read; tells the verifier that offsets are small. */
#define POLICY_OFFSET_MAX 4095

struct policy_extension {
    __u8 next;
    __u8 length;
    /* Of a fragment header its offset, and whether there are more. */
    __be16 fragment;
};

struct policy_ports {
    __be16 source;
    __be16 destination;
};

struct policy_packet {
    /* Of the other end. */
    struct policy_key peer;
    __u16 port;
    __u16 local;
    __u16 protocol;
    /* What rules with ports hold for: not what has none, as the later fragments that a raw socket may send. */
    __u32 class;
};

/* From the IP header on, out of pages too. */
static __always_inline int policy_load(struct __sk_buff *ctx, __u32 offset, void *to, __u32 size)
{
    return bpf_skb_load_bytes_relative(ctx, offset, to, size, BPF_HDR_START_NET);
}

static __always_inline void policy_read_ports(struct __sk_buff *ctx, __u32 offset, int outwards,
                                              struct policy_packet *packet)
{
    __u32 class = policy_class(packet->protocol);
    struct policy_ports ports;

    if (class == POLICY_OTHER || offset > POLICY_OFFSET_MAX || policy_load(ctx, offset, &ports, sizeof(ports)))
        return;
    packet->class = class;
    packet->port = bpf_ntohs(outwards ? ports.destination : ports.source);
    packet->local = bpf_ntohs(outwards ? ports.source : ports.destination);
}

static __always_inline void policy_read_ipv4_packet(struct __sk_buff *ctx, int outwards, struct policy_packet *packet)
{
    struct iphdr ip;

    if (policy_load(ctx, 0, &ip, sizeof(ip)))
        return;
    policy_map_ipv4(&packet->peer, outwards ? ip.daddr : ip.saddr);
    packet->protocol = ip.protocol;
    /* An offset: the upper layer's header is in another fragment. */
    if (!(ip.frag_off & bpf_htons(0x1fff)))
        policy_read_ports(ctx, ip.ihl * 4, outwards, packet);
}

static __always_inline void policy_read_ipv6_packet(struct __sk_buff *ctx, int outwards, struct policy_packet *packet)
{
    __u32 transport = sizeof(struct ipv6hdr);
    struct ipv6hdr ip;
    __u8 protocol;

    if (policy_load(ctx, 0, &ip, sizeof(ip)))
        return;
    __builtin_memcpy(packet->peer.address, outwards ? &ip.daddr : &ip.saddr, sizeof(packet->peer.address));
    protocol = ip.nexthdr;
    for (int i = 0; i < POLICY_EXTENSION_HEADERS; i++) {
        struct policy_extension extension;

        if (protocol != POLICY_HOPOPTS && protocol != POLICY_ROUTING && protocol != POLICY_DSTOPTS &&
            protocol != POLICY_AH && protocol != POLICY_FRAGMENT)
            break;
        packet->protocol = protocol;
        if (transport > POLICY_OFFSET_MAX || policy_load(ctx, transport, &extension, sizeof(extension)))
            return;
        if (protocol == POLICY_FRAGMENT && extension.fragment & bpf_htons(0xfff8)) {
            packet->protocol = extension.next;
            return;
        }
        transport += protocol == POLICY_AH         ? (extension.length + 2) * 4
                     : protocol == POLICY_FRAGMENT ? 8
                                                   : (extension.length + 1) * 8;
        protocol = extension.next;
    }
    packet->protocol = protocol;
    policy_read_ports(ctx, transport, outwards, packet);
}

/* `outwards`: whether the cgroup sends it. */
static __always_inline void policy_read_packet(struct __sk_buff *ctx, int outwards, struct policy_packet *packet)
{
    if (ctx->protocol == bpf_htons(ETH_P_IP))
        policy_read_ipv4_packet(ctx, outwards, packet);
    else
        policy_read_ipv6_packet(ctx, outwards, packet);
}
