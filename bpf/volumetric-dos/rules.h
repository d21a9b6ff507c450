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
        /* The packet's classes, of the fields that have been looked up. */
        __u32 classes[DOS_FIELDS];
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

/* The time to within a tick. To ask for jiffies is one load, to ask for the time is not. */
static __always_inline __u64 dos_coarse_now(void)
{
    __u32 zero = 0;
    struct dos_tick *tick = bpf_map_lookup_elem(&ticks, &zero);
    __u64 jiffies = bpf_jiffies64();

    if (!tick)
        return 0;
    if (tick->jiffies != jiffies) {
        tick->now = bpf_ktime_get_coarse_ns();
        tick->jiffies = jiffies;
    }
    return tick->now;
}

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
    count->last = dos_coarse_now();
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

/* Takes the lowest of the matches. */
static __attribute__((noinline)) int dos_take_lowest(struct dos_walk *walk)
{
    __u64 bit = walk->matches & -walk->matches;

    walk->matches ^= bit;
    dos_take(walk, walk->position + dos_bit_number(bit));
    return 0;
}

/* 1 ends the walk. */
static long dos_take_next(__u32 index, void *context)
{
    struct dos_walk *walk = context;

    (void)index;
    if (!walk->matches)
        return 1;
    dos_take_lowest(walk);
    return 0;
}

/* Takes the rules from `position` on that match. Mostly there is one, and a call costs less than a loop. */
static __always_inline void dos_take_matches(struct dos_walk *walk, __u32 position, __u64 matches)
{
    walk->position = position;
    walk->matches = matches;
    dos_take_lowest(walk);
    if (walk->matches)
        bpf_loop(63, dos_take_next, walk, 0);
}

/* Finds which rules of the lowest word match in full. */
static __attribute__((noinline)) int dos_try_lowest(struct dos_walk *walk)
{
    __u64 bit = walk->summary & -walk->summary;
    __u64 matches = ~0ull;
    __u32 number = walk->word + dos_bit_number(bit);
    __u32 key = number; /* of its own, or the verifier forgets what `number` is at most */
    struct dos_word *word;

    walk->summary ^= bit;
    if (number >= DOS_WORDS)
        return 0;
    word = bpf_map_lookup_elem(&words, &key);
    if (!word || word->first_rank > walk->best)
        return 0;
#pragma unroll
    for (int i = 0; i < DOS_FIELDS; i++) {
        struct dos_class *class;
        struct dos_block *block;
        __u32 place;

        if (!fields[i].used || !(word->fields & 1u << i))
            continue;
        class = bpf_map_lookup_elem(&classes, &walk->classes[i]);
        if (!class)
            return 0;
        place = fields[i].blocks + class->blocks[number / DOS_BLOCK_WORDS];
        block = bpf_map_lookup_elem(&blocks, &place);
        if (!block)
            return 0;
        matches &= block->words[number % DOS_BLOCK_WORDS];
        if (!matches)
            return 0;
    }
    dos_take_matches(walk, number * 64, matches);
    return 0;
}

/* 1 ends the walk. */
static long dos_try_next(__u32 index, void *context)
{
    struct dos_walk *walk = context;

    (void)index;
    if (!walk->summary)
        return 1;
    dos_try_lowest(walk);
    return 0;
}

/* What is left of the rules, as summaries have them. */
struct dos_left {
    __u64 words[DOS_SUMMARIES];
};

/* Looks the packet's class of a field up and leaves the rules in it, if any is left that asks for the field. */
static __always_inline void dos_narrow(struct dos_walk *walk, struct dos_left *left, enum dos_field_number field)
{
    struct dos_class *class;
    __u64 asking = 0;

    if (!fields[field].used)
        return;
#pragma unroll
    for (__u32 i = 0; i < DOS_SUMMARIES; i++)
        if (i < summaries)
            asking |= left->words[i] & fields[field].asking[i];
    if (!asking)
        return;
    walk->classes[field] = fields[field].classes + dos_find(field, &walk->packet);
    class = bpf_map_lookup_elem(&classes, &walk->classes[field]);
    if (!class)
        return;
#pragma unroll
    for (__u32 i = 0; i < DOS_SUMMARIES; i++)
        if (i < summaries)
            left->words[i] &= class->summary[i];
}

/* What the rules say: DOS_PASSED if none of them decides. */
static __always_inline enum dos_reason dos_try_rules(struct dos_walk *walk)
{
    struct dos_left left;

    if (!summaries)
        return DOS_PASSED;
#pragma unroll
    for (int i = 0; i < DOS_SUMMARIES; i++)
        left.words[i] = ~0ull;
    __builtin_memset(walk->classes, 0, sizeof(walk->classes));
    /* One by one: the compiler leaves a part of a loop this large a loop, and then each would be asked which field it
     * is. */
    dos_narrow(walk, &left, DOS_SOURCE);
    dos_narrow(walk, &left, DOS_DESTINATION);
    dos_narrow(walk, &left, DOS_SOURCE_PORT);
    dos_narrow(walk, &left, DOS_DESTINATION_PORT);
    dos_narrow(walk, &left, DOS_LENGTH);
    dos_narrow(walk, &left, DOS_PROTOCOL);
    dos_narrow(walk, &left, DOS_TCP_FLAGS);
    dos_narrow(walk, &left, DOS_TTL);
    dos_narrow(walk, &left, DOS_SERVICE);
    dos_narrow(walk, &left, DOS_VLAN);
    dos_narrow(walk, &left, DOS_INNER_VLAN);
#pragma unroll
    for (__u32 i = 0; i < DOS_SUMMARIES; i++) {
        if (i >= summaries)
            break;
        if (!left.words[i])
            continue;
        if (few_rules) {
            dos_take_matches(walk, i * 64, left.words[i]);
            continue;
        }
        walk->summary = left.words[i];
        walk->word = i * 64;
        dos_try_lowest(walk);
        if (walk->summary)
            bpf_loop(63, dos_try_next, walk, 0);
    }
    if (walk->best == DOS_NO_RULE)
        return DOS_PASSED;
    return dos_decide(walk, &rule_counters, walk->best, DOS_OF_RULE | walk->place);
}
