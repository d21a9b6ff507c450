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
    /* The rules that are left, as summaries have them. */
    __u64 left[DOS_SUMMARIES];
    __u64 end; /* 0 */
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
        class = bpf_map_lookup_elem(&classes, &search->classes[i]);
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

/* One step on the way through the rules that are left. 1 ends it. A callback, so that it is verified once. */
static long dos_step(__u32 index, void *context)
{
    struct dos_way *way = context;
    struct dos_walk *walk = &way->walk;
    __u64 bit;

    (void)index;
    if (walk->matches) {
        bit = walk->matches & -walk->matches;
        walk->matches ^= bit;
        dos_take(way->ctx, walk, walk->position + dos_bit_number(bit));
    } else if (!few_rules && walk->summary) {
        __u32 number;

        bit = walk->summary & -walk->summary;
        walk->summary ^= bit;
        number = walk->word * 64 + dos_bit_number(bit);
        walk->position = number * 64;
        walk->matches = dos_matches(&walk->search, number, walk->best);
    } else {
        dos_begin(walk, walk->word + 1);
    }
    return !walk->matches && !walk->summary && walk->word + 1 >= summaries;
}

/* Whether any rule is left that asks for a field. */
static __always_inline int dos_asks(const struct dos_search *search, enum dos_field_number field)
{
    __u64 asking = 0;

    if (!fields[field].used)
        return 0;
#pragma unroll
    for (__u32 i = 0; i < DOS_SUMMARIES; i++)
        if (i < summaries)
            asking |= search->left[i] & fields[field].asking[i];
    return asking != 0;
}

/*
 * Looks the packet's class of a field up and leaves the rules in it. Global functions, so that the verifier walks each
 * once, and not again for each way through those before.
 */
#define DOS_NARROW(field)                                                                                              \
    __attribute__((noinline)) int dos_narrow_##field(struct dos_packet *packet, struct dos_search *search)             \
    {                                                                                                                  \
        struct dos_class *class;                                                                                       \
                                                                                                                       \
        if (!packet || !search || !fields[field].used)                                                                 \
            return 0;                                                                                                  \
        search->classes[field] = fields[field].classes + dos_find(field, packet);                                      \
        class = bpf_map_lookup_elem(&classes, &search->classes[field]);                                                \
        if (!class)                                                                                                    \
            return 0;                                                                                                  \
        _Pragma("unroll") for (__u32 i = 0; i < DOS_SUMMARIES; i++) if (i < summaries) search->left[i] &=              \
            class->summary[i];                                                                                         \
        return 0;                                                                                                      \
    }

DOS_NARROW(DOS_SOURCE)
DOS_NARROW(DOS_DESTINATION)
DOS_NARROW(DOS_SOURCE_PORT)
DOS_NARROW(DOS_DESTINATION_PORT)
DOS_NARROW(DOS_LENGTH)
DOS_NARROW(DOS_PROTOCOL)
DOS_NARROW(DOS_TCP_FLAGS)
DOS_NARROW(DOS_TTL)
DOS_NARROW(DOS_SERVICE)
DOS_NARROW(DOS_VLAN)
DOS_NARROW(DOS_INNER_VLAN)

#define DOS_TRY(field)                                                                                                 \
    if (dos_asks(&walk->search, field))                                                                                \
    dos_narrow_##field(&walk->packet, &walk->search)

/* What the rules say: DOS_PASSED if none of them decides. */
static __always_inline enum dos_reason dos_try_rules(struct dos_way *way)
{
    struct dos_walk *walk = &way->walk;

    if (!summaries)
        return DOS_PASSED;
    /* What is not in use holds nothing. */
    walk->search = (struct dos_search){
        .left = {~0ull, summaries > 1 ? ~0ull : 0, summaries > 2 ? ~0ull : 0},
    };
    DOS_TRY(DOS_SOURCE);
    DOS_TRY(DOS_DESTINATION);
    DOS_TRY(DOS_SOURCE_PORT);
    DOS_TRY(DOS_DESTINATION_PORT);
    DOS_TRY(DOS_LENGTH);
    DOS_TRY(DOS_PROTOCOL);
    DOS_TRY(DOS_TCP_FLAGS);
    DOS_TRY(DOS_TTL);
    DOS_TRY(DOS_SERVICE);
    DOS_TRY(DOS_VLAN);
    DOS_TRY(DOS_INNER_VLAN);
    if (walk->search.left[0] | walk->search.left[1] | walk->search.left[2]) {
        dos_begin(walk, 0);
        bpf_loop(DOS_MAX_RULES, dos_step, way, 0);
    }
    if (walk->best == DOS_NO_RULE)
        return DOS_PASSED;
    return dos_decide(walk, &rule_counters, walk->best, DOS_OF_RULE | walk->place);
}
