/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <sluice/bits.h>

#include "parse.h"

/* What a packet can still match; words that are not in use are not looked at. */
#define EGRESS_EACH(i) _Pragma("unroll") for (__u32 i = 0; i < EGRESS_WORDS; i++) if (i < words)

static __always_inline void egress_keep(struct egress_bits *left, const struct egress_bits *bits)
{
    if (!bits)
        return;
    EGRESS_EACH(i) left->words[i] &= bits->words[i];
}

/* Of what asks for something, only that stays which got it. */
static __always_inline int egress_asks(const struct egress_bits *left, const volatile struct egress_bits *others)
{
    __u64 asking = 0;

    EGRESS_EACH(i) asking |= left->words[i] & ~others->words[i];
    return asking != 0;
}

/* By an address: what its prefix matches, or what asks for no prefix. */
static __always_inline void egress_keep_address(struct egress_bits *left, const struct egress_prefix *prefix,
                                                const volatile struct egress_bits *others)
{
    EGRESS_EACH(i) left->words[i] &= prefix ? prefix->match.words[i] : others->words[i];
}

static __always_inline void egress_keep_port(struct egress_bits *left, __u32 direction, __u16 port, __u8 has_ports)
{
    __u32 row = direction << 8 | port >> 8, set = direction;

    if (has_ports) {
        __u32 *number = bpf_map_lookup_elem(&port_rows, &row);
        struct egress_port_page *page;

        if (!number)
            return;
        page = bpf_map_lookup_elem(&port_pages, number);
        if (!page)
            return;
        set = page->sets[port & 0xff];
    }
    egress_keep(left, bpf_map_lookup_elem(&port_sets, &set));
}

static __always_inline void egress_keep_mark(struct egress_bits *left, __u32 mark)
{
    struct egress_bits found;

    EGRESS_EACH(i) found.words[i] = any_mark.words[i];
#pragma unroll
    for (__u32 k = 0; k < EGRESS_MARK_MASKS; k++) {
        struct egress_mark key = {.mask = mark_masks[k], .value = mark & mark_masks[k]};
        struct egress_bits *bits;

        if (k >= mark_masks_asked)
            break;
        bits = bpf_map_lookup_elem(&mark_matches, &key);
        if (bits)
            EGRESS_EACH(i) found.words[i] |= bits->words[i];
    }
    egress_keep(left, &found);
}

/* The socket's cgroup, or one above. A packet that no socket of this machine sent has none. */
static __always_inline void egress_keep_cgroup(struct __sk_buff *ctx, struct egress_bits *left)
{
    struct egress_bits found;

    EGRESS_EACH(i) found.words[i] = any_cgroup.words[i];
    for (__u32 k = 0; k < EGRESS_CGROUPS; k++) {
        struct egress_cgroup *cgroup;
        struct egress_bits *bits;
        __u32 index = k;

        if (k >= cgroups_asked)
            break;
        cgroup = bpf_map_lookup_elem(&cgroups, &index);
        if (!cgroup || !cgroup->id || bpf_skb_ancestor_cgroup_id(ctx, cgroup->level) != cgroup->id)
            continue;
        bits = bpf_map_lookup_elem(&cgroup_matches, &index);
        if (bits)
            EGRESS_EACH(i) found.words[i] |= bits->words[i];
    }
    egress_keep(left, &found);
}

/* Finds the class, `class_count` if there is none, and whether it is control traffic. */
static __always_inline __u32 egress_classify(struct __sk_buff *ctx, const struct egress_packet *packet,
                                             const struct egress_prefix *source,
                                             const struct egress_prefix *destination, __u8 *control)
{
    struct egress_bits left;

    EGRESS_EACH(i) left.words[i] = all.words[i];
    if (sources_known_v4 || sources_known_v6)
        egress_keep_address(&left, source, &any_source);
    if (destinations_known_v4 || destinations_known_v6)
        egress_keep_address(&left, destination, &any_destination);
    if (asks_protocol) {
        __u32 protocol = packet->protocol;

        egress_keep(&left, bpf_map_lookup_elem(&protocols, &protocol));
    }
    if (asks_source_port)
        egress_keep_port(&left, 0, packet->source_port, packet->has_ports);
    if (asks_destination_port)
        egress_keep_port(&left, 1, packet->destination_port, packet->has_ports);
    if (mark_masks_asked && egress_asks(&left, &any_mark))
        egress_keep_mark(&left, ctx->mark);
    if (cgroups_asked && egress_asks(&left, &any_cgroup))
        egress_keep_cgroup(ctx, &left);
    if (words && controls) {
        __u64 mask = controls < 64 ? (1ull << controls) - 1 : ~0ull;

        *control = (left.words[0] & mask) != 0;
        left.words[0] &= ~mask;
    }
    EGRESS_EACH(i)
    {
        if (left.words[i])
            return i * 64 + sluice_bit_number(left.words[i] & -left.words[i]) - controls;
    }
    return class_count;
}
