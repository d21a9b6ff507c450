/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "packet.h"

#define L4LB_TCP_SYN 0x02
#define L4LB_TCP_ACK 0x10

/* A socket's state, of <netinet/tcp.h>. */
#define L4LB_SOCKET_ESTABLISHED 1
#define L4LB_SOCKET_LISTEN      10

/* The flow as a socket of this server knows it: the client is the remote end. Its length. */
static __always_inline __u32 l4lb_tuple_of(const struct l4lb_flow *flow, struct bpf_sock_tuple *tuple)
{
    if (flow->family == 4) {
        tuple->ipv4.saddr = flow->source.low >> 32;
        tuple->ipv4.daddr = flow->destination.low >> 32;
        tuple->ipv4.sport = flow->source_port;
        tuple->ipv4.dport = flow->destination_port;
        return sizeof(tuple->ipv4);
    }
    __builtin_memcpy(tuple->ipv6.saddr, &flow->source, sizeof(flow->source));
    __builtin_memcpy(tuple->ipv6.daddr, &flow->destination, sizeof(flow->destination));
    tuple->ipv6.sport = flow->source_port;
    tuple->ipv6.dport = flow->destination_port;
    return sizeof(tuple->ipv6);
}

/* Whether a listener here sent the SYN cookie that an ACK brings back. */
static __always_inline int l4lb_cookie_is_ours(struct xdp_md *ctx, struct bpf_sock *socket,
                                               const struct l4lb_packet *packet)
{
    void *end = l4lb_end(ctx), *ip = l4lb_at(ctx, packet->link + packet->outer);
    struct tcphdr *tcp = l4lb_at(ctx, packet->transport);

    if ((void *)(tcp + 1) > end)
        return 0;
    if (packet->flow.family == 4)
        return ip + sizeof(struct iphdr) <= end &&
               !bpf_tcp_check_syncookie(socket, ip, sizeof(struct iphdr), tcp, sizeof(*tcp));
    return ip + sizeof(struct ipv6hdr) <= end &&
           !bpf_tcp_check_syncookie(socket, ip, sizeof(struct ipv6hdr), tcp, sizeof(*tcp));
}

static __always_inline enum l4lb_verdict l4lb_keep_tcp(struct xdp_md *ctx, const struct l4lb_packet *packet)
{
    const struct l4lb_flow *flow = &packet->flow;
    struct bpf_sock_tuple tuple = {};
    __u32 length = l4lb_tuple_of(flow, &tuple);
    enum l4lb_verdict verdict = L4LB_ONWARD;
    struct bpf_sock *socket;

    if (length == sizeof(tuple.ipv4))
        socket = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
    else
        socket = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
    if (!socket)
        return L4LB_ONWARD;
    if (socket->state != L4LB_SOCKET_LISTEN)
        verdict = L4LB_KEPT_ESTABLISHED;
    else if (flow->tcp_flags & L4LB_TCP_ACK && l4lb_cookie_is_ours(ctx, socket, packet))
        verdict = L4LB_KEPT_COOKIE;
    bpf_sk_release(socket);
    return verdict;
}

static __always_inline enum l4lb_verdict l4lb_keep_udp(struct xdp_md *ctx, const struct l4lb_flow *flow)
{
    struct bpf_sock_tuple tuple = {};
    __u32 length = l4lb_tuple_of(flow, &tuple);
    enum l4lb_verdict verdict = L4LB_ONWARD;
    struct bpf_sock *socket;

    if (length == sizeof(tuple.ipv4))
        socket = bpf_sk_lookup_udp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
    else
        socket = bpf_sk_lookup_udp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
    if (!socket)
        return L4LB_ONWARD;
    if (socket->state == L4LB_SOCKET_ESTABLISHED)
        verdict = L4LB_KEPT_CONNECTED;
    bpf_sk_release(socket);
    return verdict;
}

/* Whether a packet stays here, and why, if there is somebody else to ask; L4LB_ONWARD if not. */
L4LB_STEP l4lb_keep(struct xdp_md *ctx, struct l4lb_packet *packet)
{
    if (!packet || packet->flow.by_pair)
        return L4LB_KEPT_LAST;
    if (packet->flow.protocol == IPPROTO_TCP)
        return l4lb_keep_tcp(ctx, packet);
    return packet->flow.protocol == IPPROTO_UDP ? l4lb_keep_udp(ctx, &packet->flow) : L4LB_KEPT_LAST;
}
