/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "classify.h"
#include "limit.h"
#include "parse.h"

/* Behind all ranks. */
#define DOS_NO_RULE 0xffffffff

/*
 * None of what follows holds a pointer: functions that are verified by themselves, which are the global ones, may write
 * what they get, and a pointer would be lost.
 */

/* Which rules match. */
struct dos_search {
    /* The rules that are left, as summaries have them. The last is 0: a word that is not in use. */
    __u64 left[DOS_SUMMARIES + 1];
    /* The packet's classes, of the fields that have been looked up. */
    __u32 classes[DOS_FIELDS];
    __u32 reserved;
};

struct dos_walk {
    struct dos_packet packet;
    __u32 frame;
    /* The rank, or order, of the first rule that matches and decides, what it says, and its limit or its place. */
    __u32 best;
    __u32 action;
    __u32 place;
    /* Whether a rule has drawn the packet as a sample. */
    __u32 sampled;
    __u32 reserved;
    /* One after the other: the stack is short. */
    union {
        struct dos_search search;
        /* The packet's DOS_NUMBER_*, while live rules look at it. */
        __u32 numbers[DOS_NUMBERS];
    };
    /* Which word of what is left is being tried, and what of it is still to be tried: words of rules, a bit each. */
    __u32 word;
    /* The rules of the word that is being tried, from `position` on, that match. */
    __u32 position;
    __u64 summary;
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

/* What callbacks get. */
struct dos_way {
    struct xdp_md *ctx;
    struct dos_walk walk;
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
    count->last = dos_coarse_now();
}

/* `share` of 2^32 packets. */
static __always_inline void dos_draw_sample(struct dos_walk *walk, __u32 share)
{
    if (share && bpf_get_prandom_u32() <= share)
        walk->sampled = 1;
}

/* Whether the payload has the bytes that a rule asks for. */
static __always_inline int dos_payload_matches(struct xdp_md *ctx, const struct dos_packet *packet, __u32 offset,
                                               __u32 length, const __u8 *wanted, const __u8 *mask)
{
    __u8 bytes[DOS_PAYLOAD_BYTES] = {};
    __u32 different = 0;

    /* 1 to 16, and the verifier sees it. */
    length = ((length - 1) & (DOS_PAYLOAD_BYTES - 1)) + 1;
    if (offset + length > packet->payload_length)
        return 0;
    if (bpf_xdp_load_bytes(ctx, packet->payload + offset, bytes, length))
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
__attribute__((noinline)) int dos_take(struct xdp_md *ctx, struct dos_walk *walk, __u32 position)
{
    struct dos_rule *rule = bpf_map_lookup_elem(&rules, &position);

    if (!walk || !rule || rule->rank >= walk->best)
        return 0;
    if (rules_with_payload && rule->payload_length &&
        !dos_payload_matches(ctx, &walk->packet, rule->payload_offset, rule->payload_length, rule->payload,
                             rule->payload_mask))
        return 0;
    if (dos_is_over(rule->rank))
        return 0;
    dos_draw_sample(walk, rule->sample);
    /* On trial it is as if it were not there: it must not shield what the next rule drops. */
    if (rule->dry_run || rule->action == DOS_COUNT) {
        dos_count(&rule_counters, rule->rank, walk->frame, rule->dry_run);
        return 0;
    }
    walk->best = rule->rank;
    walk->action = rule->action;
    walk->place = rule->limit;
    return 0;
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

/* Which rules of a word match, of those that come before rank `best`. Global, so that the verifier walks it once. */
__attribute__((noinline)) __u64 dos_matches(struct dos_search *search, __u32 number, __u32 best)
{
    __u32 key = number; /* of its own, or the verifier forgets what `number` is at most */
    __u64 matches = ~0ull;
    struct dos_word *word;

    if (!search || number >= DOS_WORDS)
        return 0;
    word = bpf_map_lookup_elem(&words, &key);
    if (!word || word->first_rank > best)
        return 0;
#pragma unroll
    for (int i = 0; i < DOS_FIELDS; i++) {
        struct dos_class *class;
        struct dos_block *block;
        __u32 place;

        if (!fields[i].used || !(word->fields & 1u << i))
            continue;
        place = search->classes[i];
        class = bpf_map_lookup_elem(&classes, &place);
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
    return matches;
}

/* Begins with a word of what is left: its bits are rules, or words of 64 of them. */
static __always_inline void dos_begin(struct dos_walk *walk, __u32 word)
{
    /* At most 3, for the verifier, which does not heed that the walk ends before. */
    __u64 left = walk->search.left[word &= 3];

    walk->word = word;
    walk->position = word * 64;
    walk->matches = few_rules ? left : 0;
    walk->summary = few_rules ? 0 : left;
}

/* One step on the way through the rules that are left. 1 if it was the last. */
static __always_inline int dos_go_on(struct dos_way *way)
{
    struct dos_walk *walk = &way->walk;
    __u64 bit;

    if (walk->matches) {
        bit = walk->matches & -walk->matches;
        walk->matches ^= bit;
        dos_take(way->ctx, walk, walk->position + sluice_bit_number(bit));
    } else if (!few_rules && walk->summary) {
        __u32 number;

        bit = walk->summary & -walk->summary;
        walk->summary ^= bit;
        number = walk->word * 64 + sluice_bit_number(bit);
        walk->position = number * 64;
        walk->matches = dos_matches(&walk->search, number, walk->best);
    } else {
        dos_begin(walk, walk->word + 1);
    }
    return !walk->matches && !walk->summary && walk->word + 1 >= summaries;
}

static long dos_step(__u32 index, void *context)
{
    (void)index;
    return dos_go_on(context);
}

/* What is left of the rules, as summaries have them. */
struct dos_left {
    __u64 words[DOS_SUMMARIES];
};

/* Looks the packet's class of a field up and leaves the rules in it, if any is left that asks for the field. */
static __always_inline void dos_narrow(const struct dos_packet *packet, struct dos_search *search,
                                       struct dos_left *left, enum dos_field_number field)
{
    struct dos_class *class;
    __u64 asking = 0;
    __u32 index;

    if (!fields[field].used)
        return;
#pragma unroll
    for (__u32 i = 0; i < DOS_SUMMARIES; i++)
        if (i < summaries)
            asking |= left->words[i] & fields[field].asking[i];
    if (!asking)
        return;
    /* Before Linux 6.2 a key may not lie in what a global function gets. */
    index = search->classes[field] = fields[field].classes + dos_find(field, packet);
    class = bpf_map_lookup_elem(&classes, &index);
    if (!class)
        return;
#pragma unroll
    for (__u32 i = 0; i < DOS_SUMMARIES; i++)
        if (i < summaries)
            left->words[i] &= class->summary[i];
}

/* Finds which rules are left, 0 if none. Global, so that the verifier does not walk what follows for each way through
 * it.
 */
__attribute__((noinline)) int dos_find_rules(struct dos_packet *packet, struct dos_search *search)
{
    struct dos_left left = {{~0ull, ~0ull, ~0ull}};
    __u64 any = 0;

    if (!packet || !search)
        return 0;
    /* One by one: the compiler leaves a part of a loop this large a loop, and then each would be asked which field it
     * is. */
    dos_narrow(packet, search, &left, DOS_SOURCE);
    dos_narrow(packet, search, &left, DOS_DESTINATION);
    dos_narrow(packet, search, &left, DOS_SOURCE_PORT);
    dos_narrow(packet, search, &left, DOS_DESTINATION_PORT);
    dos_narrow(packet, search, &left, DOS_LENGTH);
    dos_narrow(packet, search, &left, DOS_PROTOCOL);
    dos_narrow(packet, search, &left, DOS_TCP_FLAGS);
    dos_narrow(packet, search, &left, DOS_TTL);
    dos_narrow(packet, search, &left, DOS_SERVICE);
    dos_narrow(packet, search, &left, DOS_VLAN);
    dos_narrow(packet, search, &left, DOS_INNER_VLAN);
#pragma unroll
    for (__u32 i = 0; i < DOS_SUMMARIES; i++) {
        if (i >= summaries)
            break;
        search->left[i] = left.words[i];
        any |= left.words[i];
    }
    return any != 0;
}

/* What the rules say: DOS_PASSED if none of them decides. */
static __always_inline enum dos_reason dos_try_rules(struct dos_way *way)
{
    struct dos_walk *walk = &way->walk;

    if (!summaries)
        return DOS_PASSED;
    walk->search = (struct dos_search){};
    if (!dos_find_rules(&walk->packet, &walk->search))
        return DOS_PASSED;
    dos_begin(walk, walk->search.left[0] ? 0 : walk->search.left[1] ? 1 : 2);
    /* Mostly one rule matches, and a step costs less than a loop. */
    if (!dos_go_on(way) && !dos_go_on(way))
        bpf_loop(DOS_MAX_RULES, dos_step, way, 0);
    if (walk->best == DOS_NO_RULE)
        return DOS_PASSED;
    return dos_decide(walk, &rule_counters, walk->best, DOS_OF_RULE | walk->place);
}
