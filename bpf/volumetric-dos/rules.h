/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "classify.h"
#include "limit.h"
#include "parse.h"

/* Behind all ranks. */
#define DOS_NO_RULE 0xffffffff

struct dos_walk {
    struct dos_packet packet;
    struct xdp_md *ctx;
    __u32 frame;
    /* The rank, or order, of the first rule that matches and decides, what it says, and its limit or its place. */
    __u32 best;
    __u32 action;
    __u32 place;
    /* Whether a rule has drawn the packet as a sample. */
    __u32 sampled;
    /* One after the other: the stack is short. */
    union {
        struct dos_payload payload;
        /* The packet's classes; of fields in use. */
        struct dos_class *classes[DOS_FIELDS];
        /* The packet's DOS_NUMBER_*, while live rules look at it. */
        __u32 numbers[DOS_NUMBERS];
    };
    /* The words from `word` on, a bit each, that are still to be tried. */
    __u64 summary;
    __u32 word;
    /* The rules of the word that is being tried, from `position` on, that match. */
    __u32 position;
    __u64 matches;
};

/* Counts in a map of struct dos_rule_count. */
static __always_inline void dos_count(void *counters, __u32 place, __u32 frame, __u32 on_trial)
{
    struct dos_rule_count *count = bpf_map_lookup_elem(counters, &place);

    if (!count)
        return;
    if (on_trial) {
        count->dry_run++;
    } else {
        count->packets++;
        count->bytes += frame;
    }
    count->last = bpf_ktime_get_coarse_ns();
}

/* `share` of 2^32 packets. */
static __always_inline void dos_draw_sample(struct dos_walk *walk, __u32 share)
{
    if (share && bpf_get_prandom_u32() <= share)
        walk->sampled = 1;
}

/* Whether the payload has the bytes that a rule asks for. */
static __attribute__((noinline)) int dos_payload_matches(struct dos_walk *walk, __u32 offset, __u32 length,
                                                         const __u8 *wanted, const __u8 *mask)
{
    __u8 bytes[DOS_PAYLOAD_BYTES] = {};
    __u32 different = 0;

    /* 1 to 16, and the verifier sees it. */
    length = ((length - 1) & (DOS_PAYLOAD_BYTES - 1)) + 1;
    if (offset + length > walk->packet.payload_length)
        return 0;
    if (bpf_xdp_load_bytes(walk->ctx, walk->packet.payload + offset, bytes, length))
        return 0;
#pragma unroll
    for (__u32 i = 0; i < DOS_PAYLOAD_BYTES; i++)
        different |= (bytes[i] ^ wanted[i]) & mask[i];
    return !different;
}

static __always_inline int dos_is_over(__u32 rank)
{
    __u64 *expiry = bpf_map_lookup_elem(&rule_expiries, &rank);

    return expiry && *expiry && bpf_ktime_get_tai_ns() >= *expiry;
}

/* The conditions of one rule are met, but for what only the rule itself says. */
static __always_inline void dos_take(struct dos_walk *walk, __u32 position)
{
    struct dos_rule *rule = bpf_map_lookup_elem(&rules, &position);

    if (!rule || rule->rank >= walk->best)
        return;
    if (rules_with_payload && rule->payload_length &&
        !dos_payload_matches(walk, rule->payload_offset, rule->payload_length, rule->payload, rule->payload_mask))
        return;
    if (dos_is_over(rule->rank))
        return;
    dos_draw_sample(walk, rule->sample);
    /* On trial it is as if it were not there: it must not shield what the next rule drops. */
    if (rule->dry_run || rule->action == DOS_COUNT) {
        dos_count(&rule_counters, rule->rank, walk->frame, rule->dry_run);
        return;
    }
    walk->best = rule->rank;
    walk->action = rule->action;
    walk->place = rule->limit;
}

/* What follows from the rule that decides. */
static __always_inline enum dos_reason dos_decide(struct dos_walk *walk, void *counters, __u32 place, __u32 limit)
{
    int full = 0;

    if (walk->action == DOS_HOLD && dos_conforms(&walk->packet, walk->frame, limit, &full))
        return DOS_PASSED;
    dos_count(counters, place, walk->frame, dry_run && walk->action != DOS_PASS);
    switch (walk->action) {
    case DOS_DROP:
        return DOS_RULE;
    case DOS_HOLD:
        return DOS_RULE_LIMIT;
    default:
        return DOS_RULE_PASSED;
    }
}

/* Takes the lowest of the matches. 1 ends the walk. */
static long dos_take_next(__u32 index, void *context)
{
    struct dos_walk *walk = context;
    __u64 bit = walk->matches & -walk->matches;

    (void)index;
    if (!bit)
        return 1;
    walk->matches ^= bit;
    dos_take(walk, walk->position + dos_bit_number(bit));
    return 0;
}

/* Tries the lowest of the words. 1 ends the walk. */
static long dos_try_word(__u32 index, void *context)
{
    struct dos_walk *walk = context;
    __u64 bit = walk->summary & -walk->summary;
    __u64 word = ~0ull;
    __u32 number;

    (void)index;
    if (!bit)
        return 1;
    walk->summary ^= bit;
    number = walk->word + dos_bit_number(bit);
    if (number >= DOS_WORDS)
        return 1;
    if (walk->best != DOS_NO_RULE) {
        __u32 key = number; /* of its own, or the verifier forgets what `number` is at most */
        __u32 *first = bpf_map_lookup_elem(&first_ranks, &key);

        if (first && *first > walk->best)
            return 0;
    }
#pragma unroll
    for (int i = 0; i < DOS_FIELDS; i++) {
        struct dos_block *block;
        __u32 place;

        if (!fields[i].used)
            continue;
        place = fields[i].blocks + walk->classes[i]->blocks[number / DOS_BLOCK_WORDS];
        block = bpf_map_lookup_elem(&blocks, &place);
        if (!block)
            return 1;
        word &= block->words[number % DOS_BLOCK_WORDS];
        if (!word)
            return 0;
    }
    walk->position = number * 64;
    bit = word & -word;
    walk->matches = word ^ bit;
    dos_take(walk, walk->position + dos_bit_number(bit));
    if (walk->matches)
        bpf_loop(64, dos_take_next, walk, 0);
    return 0;
}

/* Finds the packet's class of a field, if rules ask for it. 0 if there is none, which cannot be. */
static __always_inline int dos_look_up(struct dos_walk *walk, enum dos_field_number field)
{
    __u32 index;

    if (!fields[field].used)
        return 1;
    index = fields[field].classes + dos_find(field, &walk->packet);
    walk->classes[field] = bpf_map_lookup_elem(&classes, &index);
    return walk->classes[field] != 0;
}

/* What the rules say: DOS_PASSED if none of them decides. */
static __always_inline enum dos_reason dos_try_rules(struct dos_walk *walk)
{
    if (!rule_words)
        return DOS_PASSED;
    /* One by one: the compiler leaves a part of a loop this large a loop, and then each would be asked which field it
     * is. */
    if (!(dos_look_up(walk, DOS_SOURCE) && dos_look_up(walk, DOS_DESTINATION) && dos_look_up(walk, DOS_SOURCE_PORT) &&
          dos_look_up(walk, DOS_DESTINATION_PORT) && dos_look_up(walk, DOS_LENGTH) && dos_look_up(walk, DOS_PROTOCOL) &&
          dos_look_up(walk, DOS_TCP_FLAGS) && dos_look_up(walk, DOS_TTL) && dos_look_up(walk, DOS_SERVICE) &&
          dos_look_up(walk, DOS_VLAN) && dos_look_up(walk, DOS_INNER_VLAN)))
        return DOS_PASSED;
#pragma unroll
    for (__u32 i = 0; i < DOS_SUMMARIES; i++) {
        __u64 summary = ~0ull;

        if (i * 64 >= rule_words)
            break;
#pragma unroll
        for (int field = 0; field < DOS_FIELDS; field++) {
            if (fields[field].used)
                summary &= walk->classes[field]->summary[i];
        }
        if (summary) {
            walk->summary = summary;
            walk->word = i * 64;
            bpf_loop(64, dos_try_word, walk, 0);
        }
    }
    if (walk->best == DOS_NO_RULE)
        return DOS_PASSED;
    return dos_decide(walk, &rule_counters, walk->best, DOS_OF_RULE | walk->place);
}
