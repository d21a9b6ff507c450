/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "classify.h"
#include "limit.h"
#include "rewrite.h"

#define EGRESS_DHCP_CLIENT 68
#define EGRESS_DHCP_SERVER 67
/* ICMPv6 that a host without an address may send: reports of listeners, solicitations of routers and of its own. */
#define EGRESS_MLD_FIRST  131
#define EGRESS_MLD_LAST   132
#define EGRESS_MLD2       143
#define EGRESS_SOLICITS_R 133
#define EGRESS_SOLICITS_N 135

static __always_inline const struct egress_prefix *egress_source(struct egress_packet *packet)
{
    if (packet->family == 4)
        return sources_known_v4 ? bpf_map_lookup_elem(&sources_v4, &packet->source) : 0;
    return sources_known_v6 ? bpf_map_lookup_elem(&sources_v6, &packet->source) : 0;
}

static __always_inline const struct egress_prefix *egress_destination(struct egress_packet *packet)
{
    if (packet->family == 4)
        return destinations_known_v4 ? bpf_map_lookup_elem(&destinations_v4, &packet->destination) : 0;
    return destinations_known_v6 ? bpf_map_lookup_elem(&destinations_v6, &packet->destination) : 0;
}

/* Sources that no prefix need name: those of a host that has no address yet, and IPv6's link-local ones. */
static __always_inline int egress_needs_no_prefix(const struct egress_packet *packet)
{
    const __u8 *address = packet->source.address;
    const __u32 *parts = (const __u32 *)address;

    if (packet->family == 4)
        return !parts[0] && packet->protocol == IPPROTO_UDP && packet->source_port == EGRESS_DHCP_CLIENT &&
               packet->destination_port == EGRESS_DHCP_SERVER;
    if (address[0] == 0xfe && (address[1] & 0xc0) == 0x80)
        return 1;
    if (parts[0] | parts[1] | parts[2] | parts[3] || packet->protocol != EGRESS_ICMPV6)
        return 0;
    return (packet->icmp_type >= EGRESS_MLD_FIRST && packet->icmp_type <= EGRESS_MLD_LAST) ||
           packet->icmp_type == EGRESS_MLD2 || packet->icmp_type == EGRESS_SOLICITS_R ||
           packet->icmp_type == EGRESS_SOLICITS_N;
}

/* A packet on its way through the stage. */
struct egress_way {
    struct egress_packet packet;
    struct egress_class_count *count;
    struct egress_cell *cell;
    __u64 now;
    __u32 class;
};

static __always_inline __u64 egress_now(struct egress_way *way)
{
    if (!way->now)
        way->now = bpf_ktime_get_ns();
    return way->now;
}

static __always_inline enum egress_reason egress_limit(struct __sk_buff *ctx, struct egress_way *way,
                                                       const struct egress_class *class)
{
    __u32 length = way->packet.length;

    if (polices && class->cost) {
        __u64 cost = egress_cost(class->cost, class->by_bytes ? length : 1);

        if (!egress_conforms(&way->cell->due, egress_now(way), cost, class->tolerance, class->reach))
            return EGRESS_POLICED;
    }
    if (paces && class->pace) {
        __u64 departure = egress_departure(&way->cell->departure, egress_now(way), egress_cost(class->pace, length));

        if (!departure)
            return EGRESS_LATE;
        /* Whoever wants it later, as TCP with a pace of its own, has his way. */
        if (ctx->tstamp_type != BPF_SKB_TSTAMP_DELIVERY_MONO || ctx->tstamp < departure)
            bpf_skb_set_tstamp(ctx, departure, BPF_SKB_TSTAMP_DELIVERY_MONO);
    }
    return EGRESS_PASSED;
}

static __always_inline void egress_take_sample(struct __sk_buff *ctx, struct egress_way *way,
                                               const struct egress_class *class, enum egress_reason reason)
{
    const struct egress_packet *packet = &way->packet;
    struct egress_sample *sample;

    if (!egress_conforms(&way->cell->sample, egress_now(way), class->sample, 0, class->sample + EGRESS_SKEW))
        return;
    sample = bpf_ringbuf_reserve(&samples, sizeof(*sample), 0);
    if (!sample) {
        way->count->unsampled++;
        return;
    }
    *sample = (struct egress_sample){
        .seen = way->count->packets + way->count->policed + way->count->late + way->count->refused,
        .cpu = bpf_get_smp_processor_id(),
        .length = packet->length,
        .mark = ctx->mark,
        .class = way->class,
        .reason = reason,
        .family = packet->family,
        .source_port = packet->source_port,
        .destination_port = packet->destination_port,
        .protocol = packet->protocol,
        .service = packet->service,
    };
    __builtin_memcpy(sample->source, packet->source.address, sizeof(sample->source));
    __builtin_memcpy(sample->destination, packet->destination.address, sizeof(sample->destination));
    bpf_ringbuf_submit(sample, 0);
}

/* Counts what went on in the class's row, so that all rows together are what the interface sends. */
static __always_inline __u32 egress_account(struct __sk_buff *ctx, struct egress_way *way,
                                            const struct egress_class *class, enum egress_reason reason)
{
    __u32 length = way->packet.length;
    int drops = reason >= EGRESS_MALFORMED;

    sluice_add(&reasons, reason, length);
    if (!way->count)
        return drops ? SLUICE_DROP : SLUICE_NEXT;
    if (reason == EGRESS_POLICED) {
        way->count->policed++;
        way->count->policed_bytes += length;
    } else if (reason == EGRESS_LATE) {
        way->count->late++;
        way->count->late_bytes += length;
    } else if (drops) {
        way->count->refused++;
    } else {
        way->count->packets++;
        way->count->bytes += length;
    }
    if (samples_any && class && way->cell && class->sample)
        egress_take_sample(ctx, way, class, reason);
    return drops ? SLUICE_DROP : SLUICE_NEXT;
}

static __always_inline const struct egress_class *egress_enter(struct egress_way *way, __u32 number)
{
    const struct egress_class *class = 0;

    way->class = number;
    way->count = bpf_map_lookup_elem(&class_counters, &number);
    if (!polices && !paces && !marks && !sets_service && !clamps && !samples_any)
        return 0;
    class = bpf_map_lookup_elem(&classes, &number);
    if (class && (polices || paces || samples_any)) {
        __u32 slot = class->slot;

        way->cell = bpf_map_lookup_elem(&cells, &slot);
    }
    return class;
}

/*
 * In the order that an operator relies on: what is no IP goes on; a source that is not ours is dropped, whatever else
 * is said; then blocks, unless the other side is allowed; then the class, whose limits spare what is allowed or
 * control.
 */
static __always_inline __u32 egress_judge(struct __sk_buff *ctx)
{
    struct egress_way way = {};
    struct egress_packet *packet = &way.packet;
    enum egress_kind kind = egress_parse(ctx, packet);
    const struct egress_prefix *source, *destination, *other;
    const struct egress_class *class = 0;
    enum egress_reason reason;
    __u8 control = kind == EGRESS_NDP;
    int allowed, named = 0;

    egress_measure(ctx, packet);
    if (kind == EGRESS_OTHER) {
        class = egress_enter(&way, class_count + 1);
        return egress_account(ctx, &way, class, EGRESS_NOT_IP);
    }
    if (kind == EGRESS_BROKEN) {
        class = egress_enter(&way, class_count);
        return egress_account(ctx, &way, class, guards ? EGRESS_MALFORMED : EGRESS_MALFORMED_PASSED);
    }
    source = egress_source(packet);
    destination = egress_destination(packet);
    if (guards && !(source && source->own) && !egress_needs_no_prefix(packet)) {
        class = egress_enter(&way, class_count);
        return egress_account(ctx, &way, class, EGRESS_SPOOFED);
    }
    other = is_ingress ? source : destination;
    allowed = other && other->allowed;
    if (other && other->block && !allowed && !control) {
        sluice_add(&block_counters, other->block - 1, packet->length);
        class = egress_enter(&way, class_count);
        return egress_account(ctx, &way, class, EGRESS_BLOCKED);
    }
    if (words) {
        __u8 is_control = 0;

        named = 1;
        class = egress_enter(&way, egress_classify(ctx, packet, source, destination, &is_control));
        control |= is_control;
    } else {
        class = egress_enter(&way, class_count);
    }
    reason = allowed ? EGRESS_ALLOWED : control ? EGRESS_CONTROL : EGRESS_PASSED;
    if (reason == EGRESS_PASSED && class && way.cell)
        reason = egress_limit(ctx, &way, class);
    if (named && reason < EGRESS_MALFORMED && class && way.count && (marks || sets_service || clamps))
        way.count->rewritten += egress_rewrite(ctx, packet, class);
    return egress_account(ctx, &way, class, reason);
}
