/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "packet.h"

/* Twice of what RFC 8200 has a use for. A packet with more is malformed. */
#define L4LB_EXTENSION_HEADERS 8

struct l4lb_extension {
    __u8 next;
    __u8 length;
    __be16 fragment;
    __be32 identification;
};

/* Where the parser is. */
struct l4lb_cursor {
    struct xdp_md *ctx;
    __u32 offset;
    /* Bytes from there on, in the frame, then by the IP header: short frames are padded. */
    __u32 left;
    /* Bits as in IPv4, of IPv6 too. */
    __u16 fragment;
    __u8 protocol;
    __u8 cut_off;
};

static __always_inline int l4lb_is_extension(__u8 protocol)
{
    switch (protocol) {
    case L4LB_IPPROTO_HOPOPTS:
    case L4LB_IPPROTO_ROUTING:
    case L4LB_IPPROTO_DSTOPTS:
    case L4LB_IPPROTO_MOBILITY:
    case L4LB_IPPROTO_HIP:
    case L4LB_IPPROTO_SHIM6:
    case L4LB_IPPROTO_FRAGMENT:
    case IPPROTO_AH:
        return 1;
    default:
        return 0;
    }
}

/* Moves behind one extension header. 1 ends the walk. A callback, so that it is verified once. */
static long l4lb_skip_extension(__u32 index, void *context)
{
    struct l4lb_cursor *cursor = context;
    struct l4lb_extension *extension = l4lb_at(cursor->ctx, cursor->offset);
    __u32 length;

    (void)index;
    if (!l4lb_is_extension(cursor->protocol))
        return 1;
    cursor->cut_off = 1;
    if (cursor->offset > L4LB_OFFSET_MASK || (void *)(extension + 1) > l4lb_end(cursor->ctx))
        return 1;
    if (cursor->protocol == L4LB_IPPROTO_FRAGMENT) {
        __u16 fragment = bpf_ntohs(extension->fragment);

        length = sizeof(*extension);
        cursor->fragment |= fragment >> 3 | (fragment & 1) * L4LB_FRAGMENT_MORE;
    } else if (cursor->protocol == IPPROTO_AH) {
        length = (extension->length + 2u) * 4;
    } else {
        length = (extension->length + 1u) * 8;
    }
    if (cursor->left < length)
        return 1;
    cursor->cut_off = 0;
    cursor->protocol = extension->next;
    cursor->offset += length;
    cursor->left -= length;
    return (cursor->fragment & L4LB_FRAGMENT_OFFSET) != 0;
}

/* The network header; 0 if it is good. A quoted one may say that there is more than there is. */
static __always_inline int l4lb_parse_v4(struct l4lb_cursor *cursor, struct l4lb_packet *packet)
{
    struct iphdr *ip = l4lb_at(cursor->ctx, cursor->offset);
    __u32 header, total;

    if ((void *)(ip + 1) > l4lb_end(cursor->ctx) || ip->version != 4)
        return -1;
    header = ip->ihl * 4u;
    total = bpf_ntohs(ip->tot_len);
    if (header < sizeof(*ip) || total < header || header > cursor->left || (total > cursor->left && !packet->quoted))
        return -1;
    packet->flow.source = l4lb_mapped(ip->saddr);
    packet->flow.destination = l4lb_mapped(ip->daddr);
    cursor->fragment = bpf_ntohs(ip->frag_off);
    cursor->protocol = ip->protocol;
    cursor->offset += header;
    cursor->left = (total < cursor->left ? total : cursor->left) - header;
    if (!packet->quoted) {
        packet->total = total;
        packet->tos = ip->tos;
        packet->whole = (cursor->fragment & L4LB_FRAGMENT_DF) != 0;
    }
    cursor->fragment &= L4LB_FRAGMENT_MORE | L4LB_FRAGMENT_OFFSET;
    return 0;
}

static __always_inline int l4lb_parse_v6(struct l4lb_cursor *cursor, struct l4lb_packet *packet)
{
    struct ipv6hdr *ip = l4lb_at(cursor->ctx, cursor->offset);
    __u32 length;

    if ((void *)(ip + 1) > l4lb_end(cursor->ctx) || ip->version != 6)
        return -1;
    length = bpf_ntohs(ip->payload_len);
    if (cursor->left < sizeof(*ip) || (length > cursor->left - sizeof(*ip) && !packet->quoted))
        return -1;
    cursor->left -= sizeof(*ip);
    __builtin_memcpy(&packet->flow.source, &ip->saddr, sizeof(packet->flow.source));
    __builtin_memcpy(&packet->flow.destination, &ip->daddr, sizeof(packet->flow.destination));
    cursor->protocol = ip->nexthdr;
    cursor->offset += sizeof(*ip);
    if (length < cursor->left)
        cursor->left = length;
    if (!packet->quoted) {
        packet->total = length + sizeof(*ip);
        packet->tos = bpf_ntohs(*(__be16 *)ip) >> 4;
        packet->whole = 1;
    }
    if (l4lb_is_extension(cursor->protocol)) {
        bpf_loop(L4LB_EXTENSION_HEADERS, l4lb_skip_extension, cursor, 0);
        if (cursor->cut_off || (l4lb_is_extension(cursor->protocol) && !(cursor->fragment & L4LB_FRAGMENT_OFFSET)))
            return -1;
    }
    return 0;
}

static __always_inline int l4lb_parse_transport(const struct l4lb_cursor *cursor, struct l4lb_packet *packet)
{
    struct l4lb_flow *flow = &packet->flow;
    void *start = l4lb_at(cursor->ctx, cursor->offset), *end = l4lb_end(cursor->ctx);
    struct udphdr *ports = start;
    struct tcphdr *tcp = start;

    flow->protocol = cursor->protocol;
    flow->by_pair = cursor->fragment && !packet->quoted;
    if (cursor->fragment & L4LB_FRAGMENT_OFFSET) {
        flow->by_pair = 1;
        return 0;
    }
    if (flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP && flow->protocol != IPPROTO_ICMP &&
        flow->protocol != L4LB_IPPROTO_ICMPV6)
        return 0;
    /* All of them have at least so much, and of a quoted one there is at least so much. */
    if (cursor->offset > L4LB_OFFSET_MASK || cursor->left < sizeof(*ports) || (void *)(ports + 1) > end)
        return -1;
    if (flow->protocol == IPPROTO_ICMP || flow->protocol == L4LB_IPPROTO_ICMPV6) {
        flow->icmp_type = *(__u8 *)start;
        return 0;
    }
    flow->source_port = ports->source;
    flow->destination_port = ports->dest;
    if (flow->protocol == IPPROTO_TCP && !packet->quoted) {
        if ((void *)(tcp + 1) > end || tcp->doff < 5 || cursor->left < tcp->doff * 4u)
            return -1;
        flow->tcp_flags = ((__u8 *)tcp)[13];
    }
    return 0;
}

/*
 * Reads the packet of packet->flow.family at packet->transport, and puts that behind its network header; 0 if it is
 * good. All headers must lie in the first buffer of a packet in fragments (drivers put them there).
 */
static __always_inline int l4lb_parse(struct xdp_md *ctx, struct l4lb_packet *packet)
{
    struct l4lb_cursor cursor = {.ctx = ctx, .offset = packet->transport, .left = packet->left};

    if (packet->flow.family == 4 ? l4lb_parse_v4(&cursor, packet) : l4lb_parse_v6(&cursor, packet))
        return -1;
    packet->transport = cursor.offset;
    packet->left = cursor.left;
    return l4lb_parse_transport(&cursor, packet);
}

L4LB_STEP l4lb_parse_quoted(struct xdp_md *ctx, struct l4lb_packet *packet)
{
    return packet ? l4lb_parse(ctx, packet) : -1;
}
