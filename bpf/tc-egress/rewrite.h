/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "parse.h"

#define EGRESS_IPV4_CHECKSUM 10
#define EGRESS_TCP_CHECKSUM  16
#define EGRESS_TCP_HEADER    20
#define EGRESS_TCP_SYN       0x02
/* As many as a header can have, of one byte each. */
#define EGRESS_TCP_OPTIONS 40
#define EGRESS_OPTION_END  0
#define EGRESS_OPTION_NOP  1
#define EGRESS_OPTION_MSS  2

/* Sets the code point and leaves ECN. 1 if that changed anything. */
static __always_inline int egress_set_service(struct __sk_buff *ctx, const struct egress_packet *packet, __u8 service)
{
    __u8 first[2];
    __be16 old, new;

    service = (service & 0xfc) | (packet->service & 3);
    if (service == packet->service || packet->network > EGRESS_OFFSET_MAX ||
        bpf_skb_load_bytes(ctx, packet->network, first, sizeof(first)))
        return 0;
    old = bpf_htons(first[0] << 8 | first[1]);
    if (packet->family == 4) {
        new = bpf_htons(first[0] << 8 | service);
        if (bpf_l3_csum_replace(ctx, packet->network + EGRESS_IPV4_CHECKSUM, old, new, sizeof(new)))
            return 0;
        /* The header's sum stays what it was, and with it that of the whole packet. */
        return !bpf_skb_store_bytes(ctx, packet->network, &new, sizeof(new), 0);
    }
    new = bpf_htons((first[0] & 0xf0) << 8 | service << 4 | (first[1] & 0x0f));
    return !bpf_skb_store_bytes(ctx, packet->network, &new, sizeof(new), BPF_F_RECOMPUTE_CSUM);
}

/* A walk over TCP's options. */
struct egress_options {
    struct __sk_buff *ctx;
    __u32 tcp;
    /* From the start of the TCP header on. */
    __u32 offset;
    __u32 end;
    __u16 mss;
    __u8 changed;
};

static long egress_look_at_option(__u32 index, void *context)
{
    struct egress_options *walk = context;
    __u8 option[4] = {};
    __u16 mss;
    __be16 new;

    (void)index;
    if (walk->offset >= walk->end || walk->tcp > EGRESS_OFFSET_MAX || walk->offset > 60 ||
        bpf_skb_load_bytes(walk->ctx, walk->tcp + walk->offset, option, 1) || option[0] == EGRESS_OPTION_END)
        return 1;
    if (option[0] == EGRESS_OPTION_NOP) {
        walk->offset++;
        return 0;
    }
    if (walk->offset + 2 > walk->end || bpf_skb_load_bytes(walk->ctx, walk->tcp + walk->offset, option, 2) ||
        option[1] < 2)
        return 1;
    if (option[0] != EGRESS_OPTION_MSS) {
        walk->offset += option[1];
        return 0;
    }
    if (option[1] != 4 || walk->offset + 4 > walk->end ||
        bpf_skb_load_bytes(walk->ctx, walk->tcp + walk->offset, option, 4))
        return 1;
    mss = option[2] << 8 | option[3];
    if (mss <= walk->mss)
        return 1;
    new = bpf_htons(walk->mss);
    /* The sum is of words of 16 bits from the header on: at an odd place the bytes are in two of them, swapped. */
    if (walk->offset & 1)
        bpf_l4_csum_replace(walk->ctx, walk->tcp + EGRESS_TCP_CHECKSUM, mss, walk->mss, sizeof(new));
    else
        bpf_l4_csum_replace(walk->ctx, walk->tcp + EGRESS_TCP_CHECKSUM, bpf_htons(mss), new, sizeof(new));
    walk->changed = !bpf_skb_store_bytes(walk->ctx, walk->tcp + walk->offset + 2, &new, sizeof(new), 0);
    return 1;
}

/* Has a SYN ask for segments of `mss` bytes at most. 1 if it asked for more. */
static __always_inline int egress_clamp(struct __sk_buff *ctx, const struct egress_packet *packet, __u16 mss)
{
    struct egress_options walk = {.ctx = ctx, .tcp = packet->transport, .offset = EGRESS_TCP_HEADER, .mss = mss};
    __u8 part[2];

    if (packet->protocol != IPPROTO_TCP || packet->fragment & EGRESS_FRAGMENT_OFFSET ||
        packet->transport > EGRESS_OFFSET_MAX || bpf_skb_load_bytes(ctx, packet->transport + 12, part, sizeof(part)) ||
        !(part[1] & EGRESS_TCP_SYN))
        return 0;
    walk.end = (part[0] >> 4) * 4;
    bpf_loop(EGRESS_TCP_OPTIONS, egress_look_at_option, &walk, 0);
    return walk.changed;
}

/* 1 if it changed the packet's bytes. */
static __always_inline int egress_rewrite(struct __sk_buff *ctx, struct egress_packet *packet,
                                          const struct egress_class *class)
{
    int changed = 0;

    if (marks && class->mark_mask)
        ctx->mark = (ctx->mark & ~class->mark_mask) | class->mark;
    if (sets_service && class->service & 1)
        changed |= egress_set_service(ctx, packet, class->service & 0xfc);
    if (clamps && class->mss)
        changed |= egress_clamp(ctx, packet, class->mss);
    return changed;
}
