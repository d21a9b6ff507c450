/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "encapsulate.h"

/* What the load balancer says itself in a VIP's name. */

#define L4LB_ICMP_ECHO         8
#define L4LB_ICMP_ECHO_REPLY   0
#define L4LB_ICMPV6_ECHO       128
#define L4LB_ICMPV6_ECHO_REPLY 129
#define L4LB_ICMP_UNREACHABLE  3
#define L4LB_ICMP_FRAG_NEEDED  4
#define L4LB_ICMPV6_TOO_BIG    2

/* So much of a packet is sent back with the news that it is too big; a multiple of four, and less than any such. */
#define L4LB_QUOTE 128

#define L4LB_NSEC_PER_SEC 1000000000ull

struct l4lb_icmp {
    __u8 type;
    __u8 code;
    __sum16 checksum;
    __be32 rest; /* of ICMP in its lower half the MTU, of ICMPv6 the whole */
};

/* RFC 1624: a checksum after one 16-bit word of what it covers has changed. */
static __always_inline __u16 l4lb_checksum_after(__u16 checksum, __u16 before, __u16 after)
{
    return l4lb_fold((__u16)~checksum + (__u32)(__u16)~before + after);
}

/* Turns an echo request into its reply. */
L4LB_STEP l4lb_echo(struct xdp_md *ctx, struct l4lb_packet *packet)
{
    void *end = l4lb_end(ctx);
    struct l4lb_icmp *icmp;
    __u16 *first, before;

    if (!packet)
        return XDP_DROP;
    icmp = l4lb_at(ctx, packet->transport);
    first = (__u16 *)icmp;
    if ((void *)(icmp + 1) > end)
        return XDP_DROP;
    before = *first;
    icmp->type = packet->flow.family == 4 ? L4LB_ICMP_ECHO_REPLY : L4LB_ICMPV6_ECHO_REPLY;
    icmp->checksum = l4lb_checksum_after(icmp->checksum, before, *first);
    if (packet->flow.family == 4) {
        struct iphdr *ip = l4lb_at(ctx, packet->link);
        __be32 address;

        if ((void *)(ip + 1) > end)
            return XDP_DROP;
        address = ip->saddr;
        ip->saddr = ip->daddr;
        ip->daddr = address;
        before = *(__u16 *)&ip->ttl;
        ip->ttl = L4LB_TTL;
        ip->check = l4lb_checksum_after(ip->check, before, *(__u16 *)&ip->ttl);
    } else {
        struct ipv6hdr *ip = l4lb_at(ctx, packet->link);
        struct in6_addr address;

        if ((void *)(ip + 1) > end)
            return XDP_DROP;
        address = ip->saddr;
        ip->saddr = ip->daddr;
        ip->daddr = address;
        ip->hop_limit = L4LB_TTL;
    }
    return l4lb_swap_link(ctx) ? XDP_DROP : XDP_TX;
}

/* Whether one more sender may be told. */
static __always_inline int l4lb_may_tell(void)
{
    __u64 second = bpf_ktime_get_ns() / L4LB_NSEC_PER_SEC;
    __u32 zero = 0;
    struct l4lb_told *told = bpf_map_lookup_elem(&too_big_told, &zero);

    if (!told || !too_big_rate)
        return 0;
    if (told->second != second) {
        told->second = second;
        told->count = 0;
    }
    return told->count++ < too_big_rate;
}

static __always_inline __u32 l4lb_sum(void *start, __u32 length, __u32 sum)
{
    return bpf_csum_diff(0, 0, start, length, sum);
}

static __always_inline __u16 l4lb_fold_sum(__u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    return l4lb_fold((sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32));
}

static __always_inline int l4lb_too_big_v4(struct xdp_md *ctx, const struct l4lb_packet *packet, __u16 next_mtu)
{
    struct iphdr *ip = l4lb_at(ctx, packet->link);
    struct iphdr *quoted = (void *)(ip + 1) + sizeof(struct l4lb_icmp);
    struct l4lb_icmp *icmp = (void *)(ip + 1);

    if ((void *)quoted + L4LB_QUOTE > l4lb_end(ctx))
        return -1;
    l4lb_fill_v4(ip, 0, sizeof(*ip) + sizeof(*icmp) + L4LB_QUOTE, 0, IPPROTO_ICMP, quoted->daddr, quoted->saddr);
    *icmp =
        (struct l4lb_icmp){.type = L4LB_ICMP_UNREACHABLE, .code = L4LB_ICMP_FRAG_NEEDED, .rest = bpf_htonl(next_mtu)};
    icmp->checksum = l4lb_fold_sum(l4lb_sum(icmp, sizeof(*icmp) + L4LB_QUOTE, 0));
    return 0;
}

static __always_inline int l4lb_too_big_v6(struct xdp_md *ctx, const struct l4lb_packet *packet, __u16 next_mtu)
{
    struct ipv6hdr *ip = l4lb_at(ctx, packet->link);
    struct ipv6hdr *quoted = (void *)(ip + 1) + sizeof(struct l4lb_icmp);
    struct l4lb_icmp *icmp = (void *)(ip + 1);
    __u32 length = sizeof(*icmp) + L4LB_QUOTE, sum;

    if ((void *)quoted + L4LB_QUOTE > l4lb_end(ctx))
        return -1;
    *(__be32 *)ip = bpf_htonl(6u << 28);
    ip->payload_len = bpf_htons(length);
    ip->nexthdr = L4LB_IPPROTO_ICMPV6;
    ip->hop_limit = L4LB_TTL;
    ip->saddr = quoted->daddr;
    ip->daddr = quoted->saddr;
    *icmp = (struct l4lb_icmp){.type = L4LB_ICMPV6_TOO_BIG, .rest = bpf_htonl(next_mtu)};
    sum = l4lb_sum(&ip->saddr, 2 * sizeof(ip->saddr), bpf_htonl(length + L4LB_IPPROTO_ICMPV6));
    icmp->checksum = l4lb_fold_sum(l4lb_sum(icmp, length, sum));
    return 0;
}

/* What becomes of a packet that is too big once encapsulated. ICMP errors are not answered by others. */
static __always_inline enum l4lb_verdict l4lb_judge_too_big(const struct l4lb_packet *packet)
{
    if (!packet->whole || packet->quoted)
        return L4LB_TOO_BIG_SILENT;
    return l4lb_may_tell() ? L4LB_TOO_BIG : L4LB_TOO_BIG_LIMITED;
}

/* Tells its sender. */
L4LB_STEP l4lb_tell_too_big(struct xdp_md *ctx, struct l4lb_packet *packet)
{
    __u32 added;

    if (!packet)
        return XDP_DROP;
    added = (packet->flow.family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) + sizeof(struct l4lb_icmp);
    if (bpf_xdp_adjust_tail(ctx, (int)(packet->link + L4LB_QUOTE - packet->length)) ||
        l4lb_move_link(ctx, packet->link, -(int)added, l4lb_ether_type(packet->flow.family)))
        return XDP_DROP;
    if (packet->flow.family == 4 ? l4lb_too_big_v4(ctx, packet, mtu - packet->overhead)
                                 : l4lb_too_big_v6(ctx, packet, mtu - packet->overhead))
        return XDP_DROP;
    return l4lb_swap_link(ctx) ? XDP_DROP : XDP_TX;
}
