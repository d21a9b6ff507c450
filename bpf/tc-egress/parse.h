/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>

#include "maps.h"

/* Q-in-Q has two; what the device inserts itself is not in the packet. */
#define EGRESS_VLAN_TAGS 2
/* Twice of what RFC 8200 has a use for. A packet with more is malformed. */
#define EGRESS_EXTENSION_HEADERS 8
/* Further in than any headers; tells the verifier that offsets are small. */
#define EGRESS_OFFSET_MAX 4095

/* Of an IPv4 header's fragment word; IPv6's is brought into the same form. */
#define EGRESS_FRAGMENT_MORE   0x2000
#define EGRESS_FRAGMENT_OFFSET 0x1fff

/* Numbers that <linux/in6.h> leaves to libc. */
#define EGRESS_HOP_OPTIONS 0
#define EGRESS_ROUTING     43
#define EGRESS_FRAGMENT    44
#define EGRESS_ICMPV6      58
#define EGRESS_OPTIONS     60
#define EGRESS_MOBILITY    135
#define EGRESS_HIP         139
#define EGRESS_SHIM6       140

/* Router solicitation to redirect. */
#define EGRESS_NDP_FIRST 133
#define EGRESS_NDP_LAST  137

enum egress_kind {
    EGRESS_IP,
    EGRESS_NDP,
    EGRESS_OTHER,
    EGRESS_BROKEN,
};

/* What is known of a packet, read from it once: whatever changes it makes pointers into it useless. */
struct egress_packet {
    /* Keys of the tries as they are: 32 or 128 bits. */
    struct egress_prefix_v6 source;
    struct egress_prefix_v6 destination;
    /* Where the IP header is, and the transport's. */
    __u32 network;
    __u32 transport;
    /* As it is counted, see `counts_segments`. */
    __u32 length;
    __u16 source_port;
    __u16 destination_port;
    __u16 fragment;
    __u8 family;
    __u8 protocol;
    __u8 service;
    __u8 hop_limit;
    __u8 has_ports;
    __u8 icmp_type;
};

/*
 * Reads a header, from where it lies or, if it is not in the linear part (as of packets that a process has mapped), by
 * a copy. Not 0 if the packet has no such bytes.
 */
#define EGRESS_READ(ctx, offset, header)                                                                               \
    ({                                                                                                                 \
        __typeof__(header) from = (void *)(long)(ctx)->data + (offset);                                                \
        int missing = 0;                                                                                               \
                                                                                                                       \
        if ((void *)(from + 1) <= (void *)(long)(ctx)->data_end)                                                       \
            *(header) = *from;                                                                                         \
        else                                                                                                           \
            missing = bpf_skb_load_bytes(ctx, offset, header, sizeof(*(header)));                                      \
        missing;                                                                                                       \
    })

struct egress_extension {
    __u8 next;
    __u8 length;
    __be16 fragment;
};

/* A walk over extension headers. */
struct egress_walk {
    struct __sk_buff *ctx;
    __u32 offset;
    __u16 fragment;
    __u8 protocol;
    __u8 cut_off;
};

static __always_inline int egress_is_extension(__u8 protocol)
{
    switch (protocol) {
    case EGRESS_HOP_OPTIONS:
    case EGRESS_ROUTING:
    case EGRESS_OPTIONS:
    case EGRESS_MOBILITY:
    case EGRESS_HIP:
    case EGRESS_SHIM6:
    case EGRESS_FRAGMENT:
    case IPPROTO_AH:
        return 1;
    default:
        return 0;
    }
}

/* Goes behind one extension header. 1 ends the walk. A callback, so that it is verified once. */
static long egress_skip_extension(__u32 index, void *context)
{
    struct egress_walk *walk = context;
    struct egress_extension extension = {};

    (void)index;
    if (!egress_is_extension(walk->protocol))
        return 1;
    if (walk->offset > EGRESS_OFFSET_MAX ||
        bpf_skb_load_bytes(walk->ctx, walk->offset, &extension, sizeof(extension))) {
        walk->cut_off = 1;
        return 1;
    }
    if (walk->protocol == EGRESS_FRAGMENT) {
        __u16 fragment = bpf_ntohs(extension.fragment);

        walk->fragment |= fragment >> 3 | (fragment & 1) * EGRESS_FRAGMENT_MORE;
        walk->offset += 8;
    } else if (walk->protocol == IPPROTO_AH) {
        walk->offset += (extension.length + 2u) * 4;
    } else {
        walk->offset += (extension.length + 1u) * 8;
    }
    walk->protocol = extension.next;
    /* Behind the header of a later fragment is what is behind all headers of the first. */
    return (walk->fragment & EGRESS_FRAGMENT_OFFSET) != 0;
}

/* A hop limit of 255 proves that no router forwarded it, as RFC 4861 demands; RFC 6980 forbids fragments. */
static __always_inline int egress_is_ndp(const struct egress_packet *packet)
{
    return packet->protocol == EGRESS_ICMPV6 && packet->family == 6 && packet->hop_limit == 255 && !packet->fragment &&
           packet->icmp_type >= EGRESS_NDP_FIRST && packet->icmp_type <= EGRESS_NDP_LAST;
}

static __always_inline enum egress_kind egress_parse_transport(struct __sk_buff *ctx, struct egress_packet *packet)
{
    struct {
        __be16 source;
        __be16 destination;
    } ports = {};

    if (packet->fragment & EGRESS_FRAGMENT_OFFSET)
        return EGRESS_IP;
    switch (packet->protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
    case IPPROTO_SCTP:
        packet->has_ports = 1;
        break;
    case EGRESS_ICMPV6:
    case IPPROTO_ICMP:
        break;
    default:
        return EGRESS_IP;
    }
    if (packet->transport > EGRESS_OFFSET_MAX || EGRESS_READ(ctx, packet->transport, &ports))
        return EGRESS_BROKEN;
    if (packet->has_ports) {
        packet->source_port = bpf_ntohs(ports.source);
        packet->destination_port = bpf_ntohs(ports.destination);
        return EGRESS_IP;
    }
    packet->icmp_type = bpf_ntohs(ports.source) >> 8;
    return egress_is_ndp(packet) ? EGRESS_NDP : EGRESS_IP;
}

static __always_inline enum egress_kind egress_parse_v4(struct __sk_buff *ctx, struct egress_packet *packet)
{
    struct iphdr ip = {};
    __u32 header, total;

    if (EGRESS_READ(ctx, packet->network, &ip) || ip.version != 4 || ip.ihl < 5)
        return EGRESS_BROKEN;
    header = ip.ihl * 4u;
    total = bpf_ntohs(ip.tot_len);
    /* Trains of more than 64 KiB have no length in their header. */
    if (!total && ctx->gso_size)
        total = ctx->len - packet->network;
    if (total < header || packet->network + total > ctx->len)
        return EGRESS_BROKEN;
    packet->source.length = 32;
    packet->destination.length = 32;
    __builtin_memcpy(packet->source.address, &ip.saddr, 4);
    __builtin_memcpy(packet->destination.address, &ip.daddr, 4);
    packet->family = 4;
    packet->protocol = ip.protocol;
    packet->service = ip.tos;
    packet->hop_limit = ip.ttl;
    packet->fragment = bpf_ntohs(ip.frag_off) & (EGRESS_FRAGMENT_MORE | EGRESS_FRAGMENT_OFFSET);
    packet->transport = packet->network + header;
    return egress_parse_transport(ctx, packet);
}

static __always_inline enum egress_kind egress_parse_v6(struct __sk_buff *ctx, struct egress_packet *packet)
{
    struct ipv6hdr ip = {};
    __u32 length;

    if (EGRESS_READ(ctx, packet->network, &ip) || ip.version != 6)
        return EGRESS_BROKEN;
    length = bpf_ntohs(ip.payload_len) + sizeof(ip);
    if (packet->network + length > ctx->len)
        return EGRESS_BROKEN;
    packet->source.length = 128;
    packet->destination.length = 128;
    __builtin_memcpy(packet->source.address, &ip.saddr, 16);
    __builtin_memcpy(packet->destination.address, &ip.daddr, 16);
    packet->family = 6;
    packet->protocol = ip.nexthdr;
    packet->service = ip.priority << 4 | ip.flow_lbl[0] >> 4;
    packet->hop_limit = ip.hop_limit;
    packet->transport = packet->network + sizeof(ip);
    if (egress_is_extension(ip.nexthdr)) {
        struct egress_walk walk = {.ctx = ctx, .offset = packet->transport, .protocol = ip.nexthdr};

        bpf_loop(EGRESS_EXTENSION_HEADERS, egress_skip_extension, &walk, 0);
        packet->transport = walk.offset;
        packet->protocol = walk.protocol;
        packet->fragment = walk.fragment;
        if (walk.cut_off)
            return EGRESS_BROKEN;
        if (egress_is_extension(walk.protocol) && !(walk.fragment & EGRESS_FRAGMENT_OFFSET))
            return EGRESS_BROKEN;
    }
    return egress_parse_transport(ctx, packet);
}

/* Fills in the packet. Its family stays 0 if it has no addresses to rely on. */
static __always_inline enum egress_kind egress_parse(struct __sk_buff *ctx, struct egress_packet *packet)
{
    struct {
        __be16 control;
        __be16 protocol;
    } vlan;
    struct ethhdr ethernet;
    __be16 protocol = ctx->protocol;

    packet->network = link_header;
    if (link_header) {
        /* What the link says, and not what a sender of raw frames says beside it. */
        if (EGRESS_READ(ctx, 0, &ethernet))
            return EGRESS_BROKEN;
        protocol = ethernet.h_proto;
        for (int i = 0; i < EGRESS_VLAN_TAGS; i++) {
            if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD))
                break;
            if (EGRESS_READ(ctx, packet->network, &vlan))
                return EGRESS_BROKEN;
            protocol = vlan.protocol;
            packet->network += sizeof(vlan);
        }
    }
    if (protocol == bpf_htons(ETH_P_IP))
        return egress_parse_v4(ctx, packet);
    if (protocol == bpf_htons(ETH_P_IPV6))
        return egress_parse_v6(ctx, packet);
    /* The stack knows better: there is no link header here, though one was said to be. */
    if (link_header && (ctx->protocol == bpf_htons(ETH_P_IP) || ctx->protocol == bpf_htons(ETH_P_IPV6)))
        return EGRESS_BROKEN;
    return EGRESS_OTHER;
}

/* How much of each segment is headers. */
static __always_inline __u32 egress_headers(struct __sk_buff *ctx, const struct egress_packet *packet)
{
    __u8 length = 0;

    if (packet->protocol != IPPROTO_TCP)
        return packet->transport + 8;
    if (bpf_skb_load_bytes(ctx, packet->transport + 12, &length, 1))
        return packet->transport;
    return packet->transport + (length >> 4) * 4u;
}

/* A train of segments is one packet until the device, or the kernel right before it, cuts it up. */
static __always_inline void egress_measure(struct __sk_buff *ctx, struct egress_packet *packet)
{
    __u32 headers, segments = 0, size = ctx->gso_size;

    packet->length = ctx->len;
    if (!counts_segments || !size || !packet->family)
        return;
    headers = egress_headers(ctx, packet);
    segments = ctx->gso_segs;
    /* A virtual machine's train: its host has not counted yet. */
    if (!segments && packet->length > headers)
        segments = (packet->length - headers + size - 1) / size;
    if (segments > 1)
        packet->length += (segments - 1) * headers;
}
