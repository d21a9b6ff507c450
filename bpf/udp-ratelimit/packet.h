/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"

/* Numbers that <linux/in6.h> leaves to libc. */
#define UDP_HOPOPTS  0
#define UDP_ROUTING  43
#define UDP_FRAGMENT 44
#define UDP_DSTOPTS  60

#define UDP_EXTENSION_HEADERS 8
/* Further in than any header that is read; tells the verifier that offsets are small. */
#define UDP_OFFSET_MAX 4095
/* Of IPv4's and of IPv6's fragment header. */
#define UDP_FRAGMENT_OFFSET  0x1fff
#define UDP_FRAGMENT6_OFFSET 0xfff8

/* Datagrams of a train: more than the kernel makes. */
#define UDP_TRAIN 1024

/* In place of a port, of what has none to see. */
#define UDP_NO_PORT 0x10000

/* What is to be known of a datagram. */
struct udp_packet {
    struct udp_address source;
    struct udp_address destination;
    __u32 family; /* 4 or 6; 0 without addresses */
    /* The destination port in host byte order, or UDP_NO_PORT. */
    __u32 port;
    /* Whether it may be UDP: nobody has seen that it is something else. */
    __u32 is_udp;
    /* Datagrams: more than one if they come as a train, to a socket that takes trains (UDP_GRO). */
    __u32 datagrams;
};

/* From the IP header on: what the data of a packet begins with differs from hook to hook, and in a test run. */
static __always_inline int udp_read(struct __sk_buff *ctx, __u32 offset, void *to, __u32 size)
{
    return bpf_skb_load_bytes_relative(ctx, offset, to, size, BPF_HDR_START_NET);
}

static __always_inline int udp_is_udp(__u8 protocol)
{
    return protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE;
}

static __always_inline void udp_read_port(struct __sk_buff *ctx, struct udp_packet *packet, __u32 offset)
{
    __be16 both[2];

    if (offset <= UDP_OFFSET_MAX && !udp_read(ctx, offset, both, sizeof(both)))
        packet->port = bpf_ntohs(both[1]);
}

static __always_inline void udp_parse_v4(struct __sk_buff *ctx, struct udp_packet *packet)
{
    struct iphdr ip;

    if (udp_read(ctx, 0, &ip, sizeof(ip)))
        return;
    packet->family = 4;
    packet->source = (struct udp_address){.low = (__u64)ip.saddr << 32 | (__u64)bpf_htonl(0xffff)};
    packet->destination = (struct udp_address){.low = (__u64)ip.daddr << 32 | (__u64)bpf_htonl(0xffff)};
    packet->is_udp = udp_is_udp(ip.protocol);
    if (has_ports && packet->is_udp && !(ip.frag_off & bpf_htons(UDP_FRAGMENT_OFFSET)))
        udp_read_port(ctx, packet, ip.ihl * 4);
}

struct udp_extension {
    __u8 next;
    __u8 length;
    __be16 fragment;
};

/*
 * Whoever can hide from the end of this walk could hide from the limit: what cannot be read to its end counts as UDP,
 * to whatever port. No packet that a socket gets is a fragment, but its header may say so and mean the whole packet.
 */
static __always_inline void udp_walk_v6(struct __sk_buff *ctx, struct udp_packet *packet, __u8 protocol)
{
    __u32 offset = sizeof(struct ipv6hdr);

    packet->is_udp = 1;
    for (int i = 0; i < UDP_EXTENSION_HEADERS; i++) {
        struct udp_extension extension;

        if (protocol != UDP_HOPOPTS && protocol != UDP_ROUTING && protocol != UDP_DSTOPTS && protocol != UDP_FRAGMENT &&
            protocol != IPPROTO_AH) {
            packet->is_udp = udp_is_udp(protocol);
            if (has_ports && packet->is_udp)
                udp_read_port(ctx, packet, offset);
            return;
        }
        if (offset > UDP_OFFSET_MAX || udp_read(ctx, offset, &extension, sizeof(extension)))
            return;
        if (protocol == UDP_FRAGMENT) {
            if (extension.fragment & bpf_htons(UDP_FRAGMENT6_OFFSET))
                return;
            offset += 8;
        } else if (protocol == IPPROTO_AH) {
            offset += (extension.length + 2) * 4;
        } else {
            offset += (extension.length + 1) * 8;
        }
        protocol = extension.next;
    }
}

static __always_inline void udp_parse_v6(struct __sk_buff *ctx, struct udp_packet *packet)
{
    struct ipv6hdr ip;

    if (udp_read(ctx, 0, &ip, sizeof(ip)))
        return;
    packet->family = 6;
    __builtin_memcpy(&packet->source, &ip.saddr, sizeof(packet->source));
    __builtin_memcpy(&packet->destination, &ip.daddr, sizeof(packet->destination));
    udp_walk_v6(ctx, packet, ip.nexthdr);
}

static __always_inline void udp_parse(struct __sk_buff *ctx, struct udp_packet *packet)
{
    packet->port = UDP_NO_PORT;
    packet->datagrams = ctx->gso_segs;
    if (packet->datagrams < 1)
        packet->datagrams = 1;
    if (packet->datagrams > UDP_TRAIN)
        packet->datagrams = UDP_TRAIN;
    if (ctx->protocol == bpf_htons(ETH_P_IP))
        udp_parse_v4(ctx, packet);
    else if (ctx->protocol == bpf_htons(ETH_P_IPV6))
        udp_parse_v6(ctx, packet);
}

static __always_inline int udp_is_limited_port(__u32 port)
{
    return !has_ports || port > 0xffff || (ports[port >> 6 & 1023] >> (port & 63) & 1);
}
