/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "maps.h"

/* The allow list. */
static __always_inline int dos_allowed(struct dos_packet *packet)
{
    if (allows_v4 && packet->traits.family == 4) {
        __u32 address = packet->source.low >> 32;
        struct dos_prefix_v4 key = {.length = 32};

        __builtin_memcpy(key.address, &address, sizeof(key.address));
        return bpf_map_lookup_elem(&allow_v4, &key) != 0;
    }
    if (allows_v6 && packet->traits.family == 6) {
        struct dos_prefix_v6 key = {.length = 128};

        __builtin_memcpy(key.address, &packet->source, sizeof(key.address));
        return bpf_map_lookup_elem(&allow_v6, &key) != 0;
    }
    return 0;
}

/* The cheapest and most telling conditions first: most rules fail at one of the first two. */
static __always_inline int dos_matches(const struct dos_rule *rule, const struct dos_packet *packet)
{
    if ((packet->traits.all & rule->traits_mask.all) != rule->traits.all)
        return 0;
    if ((packet->source.low & rule->source_mask.low) != rule->source.low)
        return 0;
    if ((packet->destination.low & rule->destination_mask.low) != rule->destination.low)
        return 0;
    if ((__u16)(packet->destination_port - rule->destination_ports.first) > rule->destination_ports.span)
        return 0;
    if ((__u16)(packet->source_port - rule->source_ports.first) > rule->source_ports.span)
        return 0;
    if (packet->length - rule->lengths.first > rule->lengths.span)
        return 0;
    if ((packet->source.high & rule->source_mask.high) != rule->source.high)
        return 0;
    return (packet->destination.high & rule->destination_mask.high) == rule->destination.high;
}

struct dos_walk {
    struct dos_packet packet;
    __u32 frame;
    /* Whether a rule said to drop. */
    __u32 drops;
};

/* A rule's conditions are met. 1 if that ends the walk. Out of line, as it has many callers and few calls. */
static __attribute__((noinline)) int dos_hit(struct dos_walk *walk, __u32 index, __u32 on_trial)
{
    struct dos_rule_count *count = bpf_map_lookup_elem(&rule_counters, &index);

    if (!count)
        return 0;
    if (on_trial || dry_run) {
        count->dry_run++;
    } else {
        count->packets++;
        count->bytes += walk->frame;
    }
    /* A rule on trial is as if it were not there: it must not shield what the next rule drops. */
    if (on_trial)
        return 0;
    walk->drops = 1;
    return 1;
}

/* Tries the rules of one block. 1 ends the walk. */
static long dos_try_block(__u32 index, void *context)
{
    struct dos_walk *walk = context;
    struct dos_block *block = bpf_map_lookup_elem(&rules, &index);

    if (!block)
        return 1;
#pragma unroll
    for (__u32 i = 0; i < DOS_BLOCK_RULES; i++) {
        struct dos_rule *rule = &block->rules[i];

        if (dos_matches(rule, &walk->packet) && dos_hit(walk, index * DOS_BLOCK_RULES + i, rule->dry_run))
            return 1;
    }
    return 0;
}

/* Tries the rules in their order. */
static __always_inline int dos_rules_drop(struct dos_walk *walk)
{
    if (!rule_blocks)
        return 0;
    bpf_loop(rule_blocks, dos_try_block, walk, 0);
    return walk->drops;
}
