/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <sluice/tc_stage.h>

#include "address.h"
#include "director.h"
#include "outer.h"

/* What became of the packets of checks; `check_counters` counts them. */
enum l4lb_check_outcome {
    L4LB_CHECK_TUNNELLED,
    L4LB_CHECK_LOST, /* no room for the outer headers: dropped */
    L4LB_CHECK_OUTCOMES,
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, L4LB_CHECK_OUTCOMES);
    __type(key, __u32);
    __type(value, struct sluice_count);
} check_counters SEC(".maps");

struct l4lb_outer_v4 {
    struct iphdr ip;
    struct udphdr udp;
    struct l4lb_gue gue;
};

struct l4lb_outer_v6 {
    struct ipv6hdr ip;
    struct udphdr udp;
    struct l4lb_gue gue;
};

/* What a check sends, and where that is on its way to, if it is one's. */
static __always_inline const struct l4lb_check *l4lb_check_of(const struct tcphdr *tcp, const struct l4lb_address *to)
{
    const struct l4lb_check *check = l4lb_check_from(tcp->source);

    return check && tcp->dest == check->port && l4lb_equal(to, &check->server) ? check : NULL;
}

/* Makes room behind the link's header, for the outer headers. */
static __always_inline int l4lb_put_outer(struct __sk_buff *ctx, const void *outer, __u32 length, __u64 family)
{
    __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L4_UDP | family;

    return bpf_skb_adjust_room(ctx, length, BPF_ADJ_ROOM_MAC, flags) ||
           bpf_skb_store_bytes(ctx, sizeof(struct ethhdr), outer, length, 0);
}

static __always_inline __u32 l4lb_end_check(struct __sk_buff *ctx, int failed)
{
    sluice_add(&check_counters, failed ? L4LB_CHECK_LOST : L4LB_CHECK_TUNNELLED, ctx->len);
    return failed ? SLUICE_DROP : SLUICE_NEXT;
}

static __always_inline __u32 l4lb_take_check_v4(struct __sk_buff *ctx)
{
    struct iphdr *ip = (void *)(long)ctx->data + sizeof(struct ethhdr);
    struct tcphdr *tcp = (void *)(ip + 1);
    const __u32 start = sizeof(struct ethhdr), inner = start + sizeof(*ip);
    struct l4lb_outer_v4 outer;
    const struct l4lb_check *check;
    struct l4lb_address to;
    __be32 vip, server;
    __be16 port;
    __u32 total;
    __u8 tos;

    if ((void *)(tcp + 1) > (void *)(long)ctx->data_end || ip->version != 4 || ip->ihl != 5 ||
        ip->protocol != IPPROTO_TCP || ip->saddr != source_v4)
        return SLUICE_NEXT;
    server = ip->daddr;
    to = l4lb_mapped(server);
    check = l4lb_check_of(tcp, &to);
    if (!check)
        return SLUICE_NEXT;
    port = tcp->source;
    total = bpf_ntohs(ip->tot_len);
    tos = ip->tos;
    vip = check->vip.low >> 32;
    l4lb_fill_v4(&outer.ip, tos, sizeof(outer) + total, L4LB_FRAGMENT_DF, IPPROTO_UDP, source_v4, server);
    l4lb_fill_gue(&outer.udp, &outer.gue, port | bpf_htons(L4LB_FIRST_PORT), total, IPPROTO_IPIP, 0);
    return l4lb_end_check(
        ctx,
        bpf_l4_csum_replace(ctx, inner + offsetof(struct tcphdr, check), server, vip, BPF_F_PSEUDO_HDR | sizeof(vip)) ||
            bpf_l3_csum_replace(ctx, start + offsetof(struct iphdr, check), server, vip, sizeof(vip)) ||
            bpf_skb_store_bytes(ctx, start + offsetof(struct iphdr, daddr), &vip, sizeof(vip), 0) ||
            l4lb_put_outer(ctx, &outer, sizeof(outer), BPF_F_ADJ_ROOM_ENCAP_L3_IPV4));
}

static __always_inline __u32 l4lb_take_check_v6(struct __sk_buff *ctx)
{
    struct ipv6hdr *ip = (void *)(long)ctx->data + sizeof(struct ethhdr);
    struct tcphdr *tcp = (void *)(ip + 1);
    const __u32 start = sizeof(struct ethhdr), inner = start + sizeof(*ip);
    struct l4lb_address to, vip;
    const struct l4lb_check *check;
    struct l4lb_outer_v6 outer;
    __u32 total, change;

    if ((void *)(tcp + 1) > (void *)(long)ctx->data_end || ip->version != 6 || ip->nexthdr != IPPROTO_TCP)
        return SLUICE_NEXT;
    __builtin_memcpy(&to, &ip->saddr, sizeof(to));
    if (to.high != source_v6.high || to.low != source_v6.low)
        return SLUICE_NEXT;
    __builtin_memcpy(&to, &ip->daddr, sizeof(to));
    check = l4lb_check_of(tcp, &to);
    if (!check)
        return SLUICE_NEXT;
    total = sizeof(*ip) + bpf_ntohs(ip->payload_len);
    vip = check->vip;
    /* The outer header is the inner one, but for its length and what follows. */
    __builtin_memcpy(&outer.ip, ip, sizeof(outer.ip));
    outer.ip.payload_len = bpf_htons(sizeof(outer) - sizeof(outer.ip) + total);
    outer.ip.nexthdr = IPPROTO_UDP;
    outer.ip.hop_limit = L4LB_TTL;
    l4lb_fill_gue(&outer.udp, &outer.gue, tcp->source | bpf_htons(L4LB_FIRST_PORT), total, IPPROTO_IPV6, 0);
    change = bpf_csum_diff((void *)&to, sizeof(to), (void *)&vip, sizeof(vip), 0);
    return l4lb_end_check(
        ctx, bpf_l4_csum_replace(ctx, inner + offsetof(struct tcphdr, check), 0, change, BPF_F_PSEUDO_HDR) ||
                 bpf_skb_store_bytes(ctx, start + offsetof(struct ipv6hdr, daddr), &vip, sizeof(vip), 0) ||
                 l4lb_put_outer(ctx, &outer, sizeof(outer), BPF_F_ADJ_ROOM_ENCAP_L3_IPV6));
}

/* Sends this machine's health checks through the tunnel; all else goes its way. */
static __always_inline __u32 l4lb_take_check(struct __sk_buff *ctx)
{
    if (!check_count)
        return SLUICE_NEXT;
    if (ctx->protocol == bpf_htons(ETH_P_IP))
        return l4lb_take_check_v4(ctx);
    return ctx->protocol == bpf_htons(ETH_P_IPV6) ? l4lb_take_check_v6(ctx) : SLUICE_NEXT;
}
