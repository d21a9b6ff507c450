/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "maps.h"

/* Q-in-Q has two. A frame with more is no IP packet here, nor is it to the kernel unless it has devices for all. */
#define DOS_VLAN_TAGS   2
#define DOS_VLAN_NUMBER 0x0fff
/* Twice of what RFC 8200 has a use for. A packet with more is malformed. */
#define DOS_EXTENSION_HEADERS 8

#define DOS_SCTP_HEADER 12
#define DOS_ICMP_HEADER 8
#define DOS_LENGTH_MAX  65535

#define DOS_FRAGMENT_MORE   0x2000
#define DOS_FRAGMENT_OFFSET 0x1fff
#define DOS_FRAGMENT6_MORE  0x0001
#define DOS_FRAGMENT6_SHIFT 3

/* Numbers that <linux/in6.h> leaves to libc. */
#define DOS_IPPROTO_HOPOPTS  0
#define DOS_IPPROTO_ROUTING  43
#define DOS_IPPROTO_FRAGMENT 44
#define DOS_IPPROTO_ICMPV6   58
#define DOS_IPPROTO_DSTOPTS  60
#define DOS_IPPROTO_MOBILITY 135
#define DOS_IPPROTO_HIP      139
#define DOS_IPPROTO_SHIM6    140

/* Router solicitation to redirect. */
#define DOS_NDP_FIRST 133
#define DOS_NDP_LAST  137

enum dos_kind {
    DOS_KIND_IP,
    DOS_KIND_ARP,
    DOS_KIND_NDP,
    DOS_KIND_OTHER,
    DOS_KIND_MALFORMED,
};

struct dos_vlan {
    __be16 control;
    __be16 protocol;
};

struct dos_extension {
    __u8 next;
    __u8 length;
    __be16 fragment;
    __be32 identification;
};

/* What follows the network header, or its extensions. */
struct dos_payload {
    struct xdp_md *ctx;
    /* Where it starts in the frame, and its length by the network header: short frames are padded. */
    __u32 offset;
    __u32 length;
    __u8 protocol;
    __u8 hop_limit;
    __u8 cut_off;
    /* DOS_FRAGMENT_*, for IPv6 too; 0 for a whole packet. A later fragment has no transport header. */
    __u16 fragment;
};

/* Joined to one condition these would be more paths than the verifier need walk. */
#define DOS_STEP() asm volatile("" ::: "memory")

/* Further in than any headers; tells the verifier that offsets are small. */
#define DOS_OFFSET_MAX 4095

/* A hop limit of 255 proves that no router forwarded it, as RFC 4861 demands; RFC 6980 forbids fragments. */
static __always_inline int dos_is_ndp(const struct dos_packet *packet, const struct dos_payload *payload, __u8 type)
{
    if (type < DOS_NDP_FIRST || type > DOS_NDP_LAST)
        return 0;
    DOS_STEP();
    if (packet->family != 6)
        return 0;
    DOS_STEP();
    if (payload->hop_limit != 255)
        return 0;
    DOS_STEP();
    return !payload->fragment;
}

/* Behind a transport header of so many bytes. */
static __always_inline enum dos_kind dos_parse_payload(struct dos_packet *packet, const struct dos_payload *payload,
                                                       __u32 header)
{
    packet->payload = payload->offset + header;
    packet->payload_length = payload->length - header;
    return DOS_KIND_IP;
}

/*
 * All headers must lie in the first buffer of a packet in fragments (drivers put them there); a header beyond it counts
 * as cut off.
 */
static __always_inline enum dos_kind dos_parse_transport(struct dos_packet *packet, const struct dos_payload *payload)
{
    void *end = (void *)(long)payload->ctx->data_end;
    void *start = (void *)(long)payload->ctx->data;

    packet->protocol = payload->protocol;
    if (payload->fragment & DOS_FRAGMENT_OFFSET)
        return DOS_KIND_IP;
    if (payload->offset > DOS_OFFSET_MAX)
        return DOS_KIND_MALFORMED;
    start += payload->offset;
    switch (payload->protocol) {
    case IPPROTO_TCP: {
        struct tcphdr *tcp = start;

        if ((void *)(tcp + 1) > end || tcp->doff < 5 || payload->length < tcp->doff * 4u)
            return DOS_KIND_MALFORMED;
        packet->tcp_flags = ((__u8 *)tcp)[13];
        packet->known = DOS_KNOWS_PORTS | DOS_KNOWS_FLAGS;
        packet->source_port = bpf_ntohs(tcp->source);
        packet->destination_port = bpf_ntohs(tcp->dest);
        return dos_parse_payload(packet, payload, tcp->doff * 4u);
    }
    case IPPROTO_SCTP:
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE: {
        struct udphdr *ports = start;
        __u32 header = payload->protocol == IPPROTO_SCTP ? DOS_SCTP_HEADER : sizeof(*ports);

        if ((void *)(ports + 1) > end || start + header > end || payload->length < header)
            return DOS_KIND_MALFORMED;
        packet->known = DOS_KNOWS_PORTS;
        packet->source_port = bpf_ntohs(ports->source);
        packet->destination_port = bpf_ntohs(ports->dest);
        return dos_parse_payload(packet, payload, header);
    }
    case IPPROTO_ICMP:
    case DOS_IPPROTO_ICMPV6: {
        __u8 *type = start;

        if (start + DOS_ICMP_HEADER > end || payload->length < DOS_ICMP_HEADER)
            return DOS_KIND_MALFORMED;
        if (payload->protocol == DOS_IPPROTO_ICMPV6 && dos_is_ndp(packet, payload, *type))
            return DOS_KIND_NDP;
        packet->known = DOS_KNOWS_ICMP;
        packet->icmp = type[0] << 8 | type[1];
        return dos_parse_payload(packet, payload, DOS_ICMP_HEADER);
    }
    default:
        return dos_parse_payload(packet, payload, 0);
    }
}

static __always_inline struct dos_address dos_mapped(__be32 address)
{
    return (struct dos_address){.low = (__u64)address << 32 | (__u64)bpf_htonl(0xffff)};
}

/* `room` is what the frame has from `start` on. The packet has its family only once its addresses can be relied on. */
static __always_inline enum dos_kind dos_parse_v4(struct dos_packet *packet, struct dos_payload *payload, void *start,
                                                  void *end, __u32 room)
{
    struct iphdr *ip = start;

    if ((void *)(ip + 1) > end || ip->version != 4)
        return DOS_KIND_MALFORMED;

    __u32 header = ip->ihl * 4u;
    __u32 total = bpf_ntohs(ip->tot_len);

    if (header < sizeof(*ip) || start + header > end || total < header || total > room)
        return DOS_KIND_MALFORMED;
    packet->source = dos_mapped(ip->saddr);
    packet->destination = dos_mapped(ip->daddr);
    packet->family = 4;
    packet->length = total;
    payload->offset += header;
    payload->length = total - header;
    payload->protocol = ip->protocol;
    payload->fragment = bpf_ntohs(ip->frag_off) & (DOS_FRAGMENT_MORE | DOS_FRAGMENT_OFFSET);
    return DOS_KIND_IP;
}

static __always_inline int dos_is_extension(__u8 protocol)
{
    switch (protocol) {
    case DOS_IPPROTO_HOPOPTS:
    case DOS_IPPROTO_ROUTING:
    case DOS_IPPROTO_DSTOPTS:
    case DOS_IPPROTO_MOBILITY:
    case DOS_IPPROTO_HIP:
    case DOS_IPPROTO_SHIM6:
    case DOS_IPPROTO_FRAGMENT:
    case IPPROTO_AH:
        return 1;
    default:
        return 0;
    }
}

/* Moves the payload behind one extension header. 1 ends the walk. A callback, so that it is verified once. */
static long dos_skip_extension(__u32 index, void *context)
{
    struct dos_payload *payload = context;
    void *end = (void *)(long)payload->ctx->data_end;
    struct dos_extension *extension = (void *)(long)payload->ctx->data;
    __u32 length;

    (void)index;
    if (!dos_is_extension(payload->protocol))
        return 1;
    payload->cut_off = 1;
    if (payload->offset > DOS_OFFSET_MAX)
        return 1;
    extension = (void *)extension + payload->offset;
    if ((void *)(extension + 1) > end)
        return 1;
    if (payload->protocol == DOS_IPPROTO_FRAGMENT) {
        __u16 fragment = bpf_ntohs(extension->fragment);

        length = sizeof(*extension);
        payload->fragment |= fragment >> DOS_FRAGMENT6_SHIFT | (fragment & DOS_FRAGMENT6_MORE) * DOS_FRAGMENT_MORE;
    } else if (payload->protocol == IPPROTO_AH) {
        length = (extension->length + 2u) * 4;
    } else {
        length = (extension->length + 1u) * 8;
    }
    if (payload->length < length)
        return 1;
    payload->cut_off = 0;
    payload->protocol = extension->next;
    payload->offset += length;
    payload->length -= length;
    return (payload->fragment & DOS_FRAGMENT_OFFSET) != 0;
}

static __always_inline enum dos_kind dos_parse_v6(struct dos_packet *packet, struct dos_payload *payload, void *start,
                                                  void *end, __u32 room)
{
    struct ipv6hdr *ip = start;

    if ((void *)(ip + 1) > end || ip->version != 6)
        return DOS_KIND_MALFORMED;

    __u32 length = bpf_ntohs(ip->payload_len);

    if (length + sizeof(*ip) > room)
        return DOS_KIND_MALFORMED;
    __builtin_memcpy(&packet->source, &ip->saddr, sizeof(packet->source));
    __builtin_memcpy(&packet->destination, &ip->daddr, sizeof(packet->destination));
    packet->family = 6;
    length += sizeof(*ip);
    packet->length = length > DOS_LENGTH_MAX ? DOS_LENGTH_MAX : length;
    payload->offset += sizeof(*ip);
    payload->length = length - sizeof(*ip);
    payload->protocol = ip->nexthdr;
    payload->hop_limit = ip->hop_limit;
    if (dos_is_extension(payload->protocol)) {
        bpf_loop(DOS_EXTENSION_HEADERS, dos_skip_extension, payload, 0);
        if (payload->cut_off)
            return DOS_KIND_MALFORMED;
        DOS_STEP();
        if (dos_is_extension(payload->protocol) && !(payload->fragment & DOS_FRAGMENT_OFFSET))
            return DOS_KIND_MALFORMED;
    }
    return DOS_KIND_IP;
}

/* TTL and service of a packet that has been parsed. */
static __always_inline void dos_parse_service(struct dos_packet *packet, const struct dos_payload *payload, void *start,
                                              void *end)
{
    __u8 *header = start;

    if (header + sizeof(struct iphdr) > (__u8 *)end)
        return;
    if (packet->family == 4) {
        packet->ttl = header[8];
        packet->service = header[1];
    } else {
        packet->ttl = header[7];
        packet->service = header[0] << 4 | header[1] >> 4;
    }
    packet->service &= ~3;
    if (payload->fragment & DOS_FRAGMENT_OFFSET)
        packet->service |= DOS_LATER_FRAGMENT;
    else if (payload->fragment)
        packet->service |= DOS_FIRST_FRAGMENT;
}

/* Fills in the packet; its family stays 0 if it has no addresses to rely on. `*later` says that it is a later fragment.
 */
static __always_inline enum dos_kind dos_parse(struct xdp_md *ctx, __u32 frame, struct dos_packet *packet,
                                               struct dos_payload *payload, __u8 *later)
{
    void *data = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    struct ethhdr *ethernet = data;
    enum dos_kind kind;
    __be16 protocol;
    __u32 offset = sizeof(*ethernet);

    if ((void *)(ethernet + 1) > end)
        return DOS_KIND_MALFORMED;
    protocol = ethernet->h_proto;
    for (int i = 0; i < DOS_VLAN_TAGS; i++) {
        struct dos_vlan *vlan = data + offset;

        if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD))
            break;
        if ((void *)(vlan + 1) > end)
            return DOS_KIND_MALFORMED;
        protocol = vlan->protocol;
        packet->vlans[i] = bpf_ntohs(vlan->control) & DOS_VLAN_NUMBER;
        offset += sizeof(*vlan);
    }
    *payload = (struct dos_payload){.ctx = ctx, .offset = offset};
    if (protocol == bpf_htons(ETH_P_ARP))
        return DOS_KIND_ARP;
    if (protocol == bpf_htons(ETH_P_IP))
        kind = dos_parse_v4(packet, payload, data + offset, end, frame - offset);
    else if (protocol == bpf_htons(ETH_P_IPV6))
        kind = dos_parse_v6(packet, payload, data + offset, end, frame - offset);
    else
        return DOS_KIND_OTHER;
    if (kind != DOS_KIND_IP)
        return kind;
    *later = (payload->fragment & DOS_FRAGMENT_OFFSET) != 0;
    dos_parse_service(packet, payload, data + offset, end);
    return dos_parse_transport(packet, payload);
}
