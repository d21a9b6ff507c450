/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "answer.h"
#include "forward.h"
#include "keep.h"
#include "parse.h"
#include "quic.h"
#include "services.h"
#include "tunnel.h"

/* Version 1.0 takes no samples. */
#ifdef L4LB_SAMPLES
#include "sample.h"
#else
static __always_inline void l4lb_sample(const struct l4lb_packet *packet, enum l4lb_verdict verdict, __u32 service)
{
    (void)packet;
    (void)verdict;
    (void)service;
}
#endif

static __always_inline int l4lb_is_icmp(const struct l4lb_flow *flow)
{
    return flow->protocol == (flow->family == 4 ? IPPROTO_ICMP : L4LB_IPPROTO_ICMPV6);
}

/* Whether an ICMP message quotes a packet. */
static __always_inline int l4lb_is_error(const struct l4lb_flow *flow)
{
    if (flow->family == 4)
        return flow->icmp_type == 3 || flow->icmp_type == 11 || flow->icmp_type == 12;
    return flow->icmp_type >= 1 && flow->icmp_type <= 4;
}

/* Puts the flow in place that an ICMP error is about: the quoted packet went from the VIP to the client. */
static __always_inline int l4lb_read_quote(struct xdp_md *ctx, struct l4lb_packet *packet)
{
    struct l4lb_flow *flow = &packet->flow;
    struct l4lb_address vip = flow->destination;
    __be16 port;

    packet->quoted = 1;
    packet->transport += L4LB_ICMP_HEADER;
    packet->left -= L4LB_ICMP_HEADER;
    if (l4lb_parse_quoted(ctx, packet) || l4lb_is_icmp(flow) || !l4lb_equal(&flow->source, &vip))
        return -1;
    flow->source = flow->destination;
    flow->destination = vip;
    port = flow->source_port;
    flow->source_port = flow->destination_port;
    flow->destination_port = port;
    return 0;
}

/* All directors of a VIP must get the same. */
static __always_inline __u64 l4lb_hash(const struct l4lb_flow *flow, __u8 hashing)
{
    int source_only = hashing == L4LB_SOURCE;
    __u64 hash = hash_seed;

    if (flow->family == 4) {
        hash = l4lb_mix(hash, (flow->source.low & ~0xffffffffull) | (source_only ? 0 : flow->destination.low >> 32));
    } else {
        hash = l4lb_mix(l4lb_mix(hash, flow->source.high), flow->source.low);
        if (!source_only)
            hash = l4lb_mix(l4lb_mix(hash, flow->destination.high), flow->destination.low);
    }
    if (!source_only && !flow->by_pair)
        hash = l4lb_mix(hash, (__u64)flow->source_port << 32 | (__u64)flow->destination_port << 16 | flow->protocol);
    /* What came in last has been in the upper bits only. */
    return l4lb_mix(hash, 0);
}

/* Whether a packet that is at this server stays, and whom to ask if not. */
static __always_inline enum l4lb_verdict l4lb_ask_on(struct xdp_md *ctx, struct l4lb_packet *packet)
{
    struct l4lb_server *server;
    enum l4lb_verdict verdict;
    __u32 number = 0;

    if ((packet->flow.tcp_flags & (L4LB_TCP_SYN | L4LB_TCP_ACK)) == L4LB_TCP_SYN)
        return L4LB_KEPT_SYN;
    if (packet->place < L4LB_HOPS)
        number = packet->way.servers[(packet->place + 1) & L4LB_HOPS];
    if (!number || number == local_server)
        return L4LB_KEPT_LAST;
    server = l4lb_server_of(number);
    if (!server || !server->family || (packet->outer && server->family != packet->outer_family))
        return L4LB_KEPT_LAST;
    verdict = l4lb_keep(ctx, packet);
    if (verdict != L4LB_ONWARD)
        return verdict;
    packet->server = number;
    packet->place++;
    packet->encapsulation = L4LB_GUE;
    if (!packet->outer && packet->total + packet->overhead > mtu)
        return l4lb_judge_too_big(packet);
    return L4LB_ONWARD;
}

/* Chooses a packet's servers. */
static __always_inline enum l4lb_verdict l4lb_direct(struct xdp_md *ctx, struct l4lb_packet *packet,
                                                     const struct l4lb_service *service)
{
    struct l4lb_server *server;
    __u32 number = 0;

    if (has_quic && service->quic && packet->flow.protocol == IPPROTO_UDP && !packet->flow.by_pair && !packet->quoted) {
        number = l4lb_quic_server(ctx, packet, service->table);
        if (number)
            l4lb_count(L4LB_QUIC_ID, packet);
        packet->way.servers[0] = number;
    }
    if (!number && l4lb_choose(packet, service->table, service->mask, packet->flow.by_pair ? 0 : service->hops))
        return L4LB_EMPTY;
    number = packet->way.servers[0];
    server = l4lb_server_of(number);
    if (!server || !server->family)
        return L4LB_EMPTY;
    packet->server = number;
    packet->encapsulation = service->encapsulation;
    sluice_add(&server_counters, server->counter, packet->length);
    if (local_server && number == local_server)
        return l4lb_ask_on(ctx, packet);
    if (packet->total + packet->overhead > mtu && packet->encapsulation != L4LB_DIRECT)
        return l4lb_judge_too_big(packet);
    return L4LB_FORWARDED;
}

/* What becomes of a packet whose destination may be a VIP. Says the number of its service, if it finds any. */
static __always_inline enum l4lb_verdict l4lb_judge(struct xdp_md *ctx, struct l4lb_packet *packet, __u32 *found)
{
    struct l4lb_flow *flow = &packet->flow;
    struct l4lb_service *service;
    __u32 number;

    if (l4lb_parse(ctx, packet))
        return L4LB_MALFORMED;
    if (packet->outer)
        packet->candidates = flow->family == 4
                                 ? l4lb_candidates(lengths_v4, flow->destination.high, flow->destination.low)
                                 : l4lb_candidates(lengths_v6, flow->destination.high, flow->destination.low);
    if (l4lb_is_icmp(flow)) {
        if (answers_echo && !packet->outer && !flow->by_pair &&
            flow->icmp_type == (flow->family == 4 ? L4LB_ICMP_ECHO : L4LB_ICMPV6_ECHO) && l4lb_answers(packet))
            return L4LB_ECHO;
        if (flow->by_pair || !l4lb_is_error(flow) || l4lb_read_quote(ctx, packet))
            return L4LB_NO_SERVICE;
    }
    number = l4lb_find_service(packet);
    service = bpf_map_lookup_elem(&services, &number);
    if (!service)
        return L4LB_NO_SERVICE;
    *found = number;
    if (packet->quoted)
        l4lb_count(L4LB_ICMP_ERROR, packet);
    if (flow->by_pair)
        l4lb_count(L4LB_FRAGMENT, packet);
    packet->overhead = service->overhead;
    packet->hash = l4lb_hash(flow, service->hashing);
    if (packet->outer)
        return l4lb_ask_on(ctx, packet);
    sluice_add(&service_counters, number, packet->length);
    return l4lb_direct(ctx, packet, service);
}

/* Does what was judged. */
static __always_inline __u32 l4lb_balance(struct xdp_md *ctx, struct l4lb_packet *packet)
{
    __u32 service = L4LB_NONE;
    enum l4lb_verdict verdict = l4lb_judge(ctx, packet, &service);

    if (packet->outer && (verdict == L4LB_MALFORMED || verdict == L4LB_NO_SERVICE))
        verdict = L4LB_FOREIGN;
    l4lb_count(verdict, packet);
    l4lb_sample(packet, verdict, service);
    switch (verdict) {
    case L4LB_FORWARDED:
    case L4LB_ONWARD:
        return l4lb_forward(ctx, packet);
    case L4LB_ECHO:
        return l4lb_echo(ctx, packet);
    case L4LB_TOO_BIG:
        return l4lb_tell_too_big(ctx, packet);
    case L4LB_TOO_BIG_LIMITED:
    case L4LB_TOO_BIG_SILENT:
        return XDP_DROP;
    case L4LB_KEPT_SYN:
    case L4LB_KEPT_ESTABLISHED:
    case L4LB_KEPT_COOKIE:
    case L4LB_KEPT_CONNECTED:
    case L4LB_KEPT_LAST:
        /* As the client sent it. */
        if (packet->outer && l4lb_move_link(ctx, packet->link, packet->outer, l4lb_ether_type(packet->flow.family)))
            return XDP_DROP;
        return SLUICE_NEXT;
    default:
        return SLUICE_NEXT;
    }
}
