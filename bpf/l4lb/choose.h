/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "packet.h"

static __always_inline struct l4lb_server *l4lb_server_of(__u32 number)
{
    return bpf_map_lookup_elem(&servers, &number);
}

/* See enum l4lb_state. */
static __always_inline __u64 l4lb_word_of(const __u64 *live, const struct l4lb_server *server)
{
    __u64 word = *(const volatile __u64 *)live;

    return server->initial ^ ((server->initial ^ word) & l4lb_if_zero(word >> 32 ^ server->tag));
}

static __always_inline enum l4lb_state l4lb_state_of(__u64 word)
{
    return word >> 16 & 0xff;
}

/* A table, an entry in it, and what its ranks are good for: a bit each. */
struct l4lb_choice {
    __u32 table;
    __u32 mask;
    __u32 entry;
    /* The server that is looked at: one place for all, since the stack is short. */
    __u32 number;
    /* Not down. */
    __u32 alive;
    /* Take new flows; and this very entry, by their weight. */
    __u32 open;
    __u32 taking;
    __u32 filling;
    __u64 ranks;
    /* From other entries, as two more ranks: see l4lb_probe. */
    __u64 probed;
};

/* Bits of `taking` that stand for those of `probed`. */
#define L4LB_PROBED_OWNER  (1 << L4LB_RANKS)
#define L4LB_PROBED_SECOND (1 << (L4LB_RANKS + 1))

static __always_inline int l4lb_weigh(struct l4lb_choice *choice, __u32 entry, __u32 rank)
{
    struct l4lb_server *server = bpf_map_lookup_elem(&servers, &choice->number);
    __u64 *live = bpf_map_lookup_elem(&servers_live, &choice->number);
    __u64 word, state, there, open, part;

    /* No number is so large. */
    if (!server || !live)
        return -1;
    word = l4lb_word_of(live, server);
    state = l4lb_state_of(word);
    part = l4lb_mix(l4lb_mix(0, (__u64)entry << 16 | choice->number), 0) >> L4LB_WEIGHT_SHIFT;
    /* A free place has family 0. Differences of small numbers are negative in bit 63. */
    there = ~l4lb_if_zero(server->family) & 1;
    open = (state - L4LB_DRAINING) >> 63 & there;
    choice->alive |= ((state - L4LB_DOWN) >> 63 & there) << rank;
    choice->open |= open << rank;
    choice->taking |= (open & (part - (word & 0xffff)) >> 63) << rank;
    choice->filling |= (l4lb_if_zero(state ^ L4LB_FILLING) & 1) << rank;
    return 0;
}

static __always_inline __u64 l4lb_ranks_of(const struct l4lb_choice *choice, __u32 entry)
{
    __u32 number = choice->table + entry / L4LB_CHUNK;
    struct l4lb_chunk *chunk = bpf_map_lookup_elem(&tables, &number);

    if (!chunk)
        return 0;
    entry &= L4LB_CHUNK - 1;
    return *(__u64 *)&chunk->entries[entry];
}

static __always_inline int l4lb_weigh_all(struct l4lb_choice *choice, __u32 entry)
{
#pragma unroll
    for (int rank = 0; rank < L4LB_RANKS; rank++) {
        choice->number = choice->ranks >> (16 * rank) & 0xffff;
        if (l4lb_weigh(choice, entry, rank))
            return -1;
    }
    return 0;
}

static __always_inline int l4lb_is_ranked(__u64 ranks, __u64 number)
{
    return number == (ranks & 0xffff) || number == (ranks >> 16 & 0xffff) || number == (ranks >> 32 & 0xffff) ||
           number == ranks >> 48;
}

/* Looks for an owner, and for whose turn it would be without that one, in another entry. 1 ends the search. */
static long l4lb_probe(__u32 index, void *context)
{
    struct l4lb_choice *choice = context;
    struct l4lb_choice other = {.table = choice->table};
    __u32 entry = (choice->entry + (index + 1) * L4LB_PROBE_STEP) & choice->mask;

    other.ranks = l4lb_ranks_of(choice, entry);
    if (l4lb_weigh_all(&other, entry))
        return 1;
#pragma unroll
    for (int rank = 0; rank < L4LB_RANKS; rank++) {
        __u64 number = other.ranks >> (16 * rank) & 0xffff;

        if (!(other.taking & 1 << rank) || l4lb_is_ranked(choice->ranks, number))
            continue;
        if (!choice->taking) {
            choice->probed = number;
            choice->taking = L4LB_PROBED_OWNER;
            choice->open |= L4LB_PROBED_OWNER;
            choice->filling |= (other.filling >> rank & 1) * L4LB_PROBED_OWNER;
        } else if (number != choice->probed) {
            choice->probed |= number << 16;
            choice->taking |= L4LB_PROBED_SECOND;
            return 1;
        }
    }
    return 0;
}

/* Takes the lowest bit of the first set that has any: the server it stands for, 0 without. */
static __always_inline __u16 l4lb_take_lowest(const struct l4lb_choice *choice, __u32 *sets)
{
    __u32 set = sets[2] | (sets[3] & l4lb_if_zero(sets[2])), number;
    __u64 servers;

    set = sets[1] | (set & l4lb_if_zero(sets[1]));
    set = sets[0] | (set & l4lb_if_zero(sets[0]));
    set &= -set;
    sets[0] &= ~set;
    sets[1] &= ~set;
    sets[2] &= ~set;
    sets[3] &= ~set;
    number = l4lb_lowest(set);
    servers = choice->ranks ^ ((choice->ranks ^ choice->probed) & ~l4lb_if_zero(number / L4LB_RANKS));
    return servers >> (16 * (number % L4LB_RANKS)) & ~l4lb_if_zero(set);
}

/*
 * Puts the servers of a packet's flow in order, when some of them have anything but all of their entries' flows. See
 * docs/l4lb.md, "Which server".
 */
L4LB_STEP l4lb_order(struct l4lb_packet *packet, __u32 table, __u32 mask, __u32 hops)
{
    struct l4lb_choice choice = {.table = table, .mask = mask};
    __u32 first, second, above, sets[4];
    int udp;

    if (!packet)
        return -1;
    udp = packet->flow.protocol == IPPROTO_UDP;
    choice.entry = packet->hash >> 32 & mask;
    choice.ranks = l4lb_ranks_of(&choice, choice.entry);
    if (l4lb_weigh_all(&choice, choice.entry))
        return -1;
    /* Whoever is not ranked here may still have taken it, while two of those that are did not. */
    if (choice.ranks >> 48 && !(choice.taking & (choice.taking - 1))) {
        bpf_loop(L4LB_PROBES, l4lb_probe, &choice, 0);
        if (choice.taking & L4LB_PROBED_OWNER)
            l4lb_count(L4LB_PROBED, packet);
    }
    if (!choice.open)
        l4lb_count(L4LB_ALL_DOWN, packet);
    /* If nobody takes it: whoever is open, whoever is there, the first. */
    first = choice.alive | (l4lb_if_zero(choice.alive) & 1);
    first = choice.open | (first & l4lb_if_zero(choice.open));
    first = choice.taking | (first & l4lb_if_zero(choice.taking));
    first &= -first;
    second = choice.taking & ~first;
    second &= -second;
    above = choice.alive & (first - 1);
    if (udp) {
        sets[0] = above;
        sets[1] = second & ~l4lb_if_zero(choice.filling & first);
        sets[2] = first;
        sets[3] = 0;
    } else {
        sets[0] = first;
        sets[1] = above;
        sets[2] = second;
        sets[3] = choice.alive & ~(first | above | second);
    }
    for (__u32 place = 0; place <= L4LB_HOPS; place++) {
        if (place > hops)
            break;
        /* The owner comes last. */
        if (udp && place == hops)
            sets[0] = sets[1] = 0;
        packet->way.servers[place] = l4lb_take_lowest(&choice, sets);
    }
    return 0;
}

/* Not 0 if a server may do anything but take all flows of its entries, or the number is nobody's. */
static __always_inline __u64 l4lb_is_special(const __u32 *number)
{
    struct l4lb_server *server = bpf_map_lookup_elem(&servers, number);
    __u64 *live = bpf_map_lookup_elem(&servers_live, number);

    if (!server || !live)
        return 1;
    return (l4lb_word_of(live, server) ^ (L4LB_ACTIVE << 16 | L4LB_WEIGHT_ALL)) & 0xffffff;
}

/* The servers to ask for a packet's flow; 0 if there is any. */
static __always_inline int l4lb_choose(struct l4lb_packet *packet, __u32 table, __u32 mask, __u32 hops)
{
    struct l4lb_choice choice = {.table = table};
    __u64 ranks = l4lb_ranks_of(&choice, packet->hash >> 32 & mask), special;
    __u32 number = ranks & 0xffff;

    if (!number)
        return -1;
    special = l4lb_is_special(&number);
    /* In quiet times whoever owns a flow of UDP has all of it. */
    if (packet->flow.protocol == IPPROTO_UDP || !hops) {
        packet->way.all = number;
    } else {
#pragma unroll
        for (int rank = 1; rank < L4LB_RANKS; rank++) {
            number = ranks >> (16 * rank) & 0xffff;
            special |= l4lb_is_special(&number) & ~l4lb_if_zero(number);
        }
        packet->way.all = ranks & ~0ull >> (16 * ((L4LB_HOPS - hops) & L4LB_HOPS));
    }
    if (!special)
        return 0;
    packet->way.all = 0;
    return l4lb_order(packet, table, mask, hops);
}
