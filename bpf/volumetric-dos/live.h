/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "rules.h"

/* What live rules look at, of a packet that there are some for. */
static __always_inline void dos_number_packet(struct dos_walk *walk)
{
    const struct dos_packet *packet = &walk->packet;
    int ports = packet->known & DOS_KNOWS_PORTS, icmp = packet->known & DOS_KNOWS_ICMP;

    walk->numbers[DOS_NUMBER_PROTOCOL] = packet->protocol;
    walk->numbers[DOS_NUMBER_SOURCE_PORT] = ports ? packet->source_port : DOS_ABSENT;
    walk->numbers[DOS_NUMBER_DESTINATION_PORT] = ports ? packet->destination_port : DOS_ABSENT;
    walk->numbers[DOS_NUMBER_LENGTH] = packet->length;
    walk->numbers[DOS_NUMBER_FLAGS] = packet->known & DOS_KNOWS_FLAGS ? packet->tcp_flags : DOS_ABSENT;
    walk->numbers[DOS_NUMBER_TTL] = packet->ttl;
    walk->numbers[DOS_NUMBER_DSCP] = packet->service >> 2;
    walk->numbers[DOS_NUMBER_FRAGMENT] = packet->service & 3;
    walk->numbers[DOS_NUMBER_ICMP_TYPE] = icmp ? packet->icmp >> 8 : DOS_ABSENT;
    walk->numbers[DOS_NUMBER_ICMP_CODE] = icmp ? packet->icmp & 0xff : DOS_ABSENT;
    walk->numbers[DOS_NUMBER_VLAN] = packet->vlans[0] == DOS_NO_VLAN ? DOS_ABSENT : packet->vlans[0];
    walk->numbers[DOS_NUMBER_INNER_VLAN] = packet->vlans[1] == DOS_NO_VLAN ? DOS_ABSENT : packet->vlans[1];
    walk->numbers[DOS_NUMBER_FAMILY] = packet->family;
}

static __always_inline int dos_differs(const struct dos_address *address, const struct dos_address *wanted,
                                       const struct dos_address *mask)
{
    return (((address->high ^ wanted->high) & mask->high) | ((address->low ^ wanted->low) & mask->low)) != 0;
}

/* Whether each number is in one of the ranges that it must be in. Without a branch a range: paths the verifier must
 * walk. */
static __always_inline int dos_numbers_match(const struct dos_walk *walk, const struct dos_live_rule *rule)
{
    for (__u32 i = 0; i < DOS_CONDITIONS; i++) {
        const struct dos_condition *condition = &rule->condition[i];
        __u64 number, inside = 0;

        if (i >= rule->conditions)
            break;
        number = walk->numbers[condition->number & (DOS_NUMBERS - 1)];
#pragma unroll
        for (int range = 0; range < DOS_RANGES; range++)
            inside |= ~((number - condition->first[range]) | (condition->last[range] - number));
        if (!(inside >> 63))
            return 0;
    }
    return 1;
}

/* Tries the rule in a place. Global, so that the verifier walks it once. */
__attribute__((noinline)) int dos_try_live_rule(struct xdp_md *ctx, struct dos_walk *walk, __u32 place)
{
    struct dos_live_rule *rule = bpf_map_lookup_elem(&live_rules, &place);

    if (!walk || !rule || rule->order >= walk->best)
        return 0;
    if (dos_differs(&walk->packet.source, &rule->source, &rule->source_mask) ||
        dos_differs(&walk->packet.destination, &rule->destination, &rule->destination_mask))
        return 0;
    if (rule->flags_mask && (walk->numbers[DOS_NUMBER_FLAGS] == DOS_ABSENT ||
                             (walk->numbers[DOS_NUMBER_FLAGS] & rule->flags_mask) != rule->flags))
        return 0;
    if (!dos_numbers_match(walk, rule))
        return 0;
    if (rule->payload_length && !dos_payload_matches(ctx, &walk->packet, rule->payload_offset, rule->payload_length,
                                                     rule->payload, rule->payload_mask))
        return 0;
    if (rule->expiry && bpf_ktime_get_tai_ns() >= rule->expiry)
        return 0;
    dos_draw_sample(walk, rule->sample);
    if (rule->dry_run || rule->action == DOS_COUNT) {
        dos_count(&live_counters, place, walk->frame, rule->dry_run);
        return 0;
    }
    walk->best = rule->order;
    walk->action = rule->action;
    walk->place = place;
    return 0;
}

/* Tries the lowest of walk->matches, which are places here; the next word if there is none. 1 ends the walk. */
static long dos_live_step(__u32 index, void *context)
{
    struct dos_way *way = context;
    struct dos_walk *walk = &way->walk;
    __u64 bit = walk->matches & -walk->matches;

    (void)index;
    if (!bit) {
        __u32 zero = 0, word = walk->position / 64 + 1;
        struct dos_live *active = bpf_map_lookup_elem(&live, &zero);

        if (!active || word >= DOS_LIVE_WORDS)
            return 1;
        walk->position = word * 64;
        walk->matches = *(volatile __u64 *)&active->words[word];
        return 0;
    }
    walk->matches ^= bit;
    dos_try_live_rule(way->ctx, walk, walk->position + sluice_bit_number(bit));
    return 0;
}

/* What the rules say that were added while the stage is live; DOS_PASSED with walk->best DOS_NO_RULE if none decides.
 */
static __always_inline enum dos_reason dos_try_live_rules(struct dos_way *way)
{
    struct dos_walk *walk = &way->walk;
    __u32 zero = 0;
    struct dos_live *active = bpf_map_lookup_elem(&live, &zero);

    if (!active || !(active->words[0] | active->words[1] | active->words[2] | active->words[3]))
        return DOS_PASSED;
    dos_number_packet(walk);
    walk->matches = *(volatile __u64 *)&active->words[0];
    walk->position = 0;
    bpf_loop(DOS_LIVE_RULES + DOS_LIVE_WORDS, dos_live_step, way, 0);
    if (walk->best == DOS_NO_RULE)
        return DOS_PASSED;
    return dos_decide(walk, &live_counters, walk->place, DOS_OF_LIVE | walk->place);
}
