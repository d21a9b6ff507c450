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

/* Gets the word of a server; 0, which takes nothing, for the number 0, which is nobody's. 0 if it can. */
static __always_inline int l4lb_read_word(const __u32 *number, __u64 *word)
{
    struct l4lb_server *server = bpf_map_lookup_elem(&servers, number);
    __u64 *live = bpf_map_lookup_elem(&servers_live, number);

    if (!server || !live)
        return -1;
    *word = l4lb_word_of(live, server);
    return 0;
}

/*
 * What the ranks of an entry are good for, a bit each, in a byte for each thing: together, since the stack is short.
 * Bits 4 and 5 stand for servers that other entries lend, see l4lb_probe.
 */
#define L4LB_OF_ALIVE   0  /* not down */
#define L4LB_OF_OPEN    8  /* takes new flows */
#define L4LB_OF_TAKING  16 /* and this very entry, by its weight */
#define L4LB_OF_FILLING 24

#define L4LB_LENT_OWNER  (1 << L4LB_RANKS)
#define L4LB_LENT_SECOND (1 << (L4LB_RANKS + 1))

/* What the first rank would be good for, were `number` there. Nobody is good for nothing. */
static __always_inline __u32 l4lb_weigh(__u32 entry, __u64 number, __u64 word)
{
    __u64 part = l4lb_mix(l4lb_mix(0, (__u64)entry << 16 | number), 0) >> L4LB_WEIGHT_SHIFT;
    /* Differences of small numbers are negative in bit 63. */
    __u64 state = l4lb_state_of(word), open = (state - L4LB_DRAINING) >> 63;
    __u64 taking = open & (part - (word & 0xffff)) >> 63;

    return ((state - L4LB_DOWN) >> 63 << L4LB_OF_ALIVE | open << L4LB_OF_OPEN | taking << L4LB_OF_TAKING |
            (l4lb_if_zero(state ^ L4LB_FILLING) & 1) << L4LB_OF_FILLING) &
           ~l4lb_if_zero(number);
}

/* A table, an entry in it, and its ranks. */
struct l4lb_choice {
    __u32 table;
    __u32 mask;
    __u32 entry;
    __u32 bits;
    __u64 ranks;
    /* Servers that other entries lend: an owner, and whose turn it would be without the owner. */
    __u64 lent;
};

static __always_inline __u32 l4lb_set_of(const struct l4lb_choice *choice, __u32 what)
{
    return choice->bits >> what & 0xff;
}

static __always_inline __u64 l4lb_ranks_of(__u32 table, __u32 entry)
{
    __u32 number = table + entry / L4LB_CHUNK;
    struct l4lb_chunk *chunk = bpf_map_lookup_elem(&tables, &number);

    if (!chunk)
        return 0;
    entry &= L4LB_CHUNK - 1;
    return *(__u64 *)&chunk->entries[entry];
}

static __always_inline int l4lb_is_ranked(__u64 ranks, __u64 number)
{
    return number == (ranks & 0xffff) || number == (ranks >> 16 & 0xffff) || number == (ranks >> 32 & 0xffff) ||
           number == ranks >> 48;
}

/* Borrows what is missing of two servers that take new flows from another entry. 1 ends the search. */
static long l4lb_probe(__u32 index, void *context)
{
    struct l4lb_choice *choice = context;
    __u32 entry = (choice->entry + (index + 1) * L4LB_PROBE_STEP) & choice->mask, number, bits;
    __u64 ranks = l4lb_ranks_of(choice->table, entry), word;

#pragma unroll
    for (int rank = 0; rank < L4LB_RANKS; rank++) {
        number = ranks >> (16 * rank) & 0xffff;
        if (l4lb_read_word(&number, &word))
            return 1;
        bits = l4lb_weigh(entry, number, word);
        if (!(bits & 1 << L4LB_OF_TAKING) || l4lb_is_ranked(choice->ranks, number) || number == choice->lent)
            continue;
        if (l4lb_set_of(choice, L4LB_OF_TAKING)) {
            choice->lent |= (__u64)number << 16;
            choice->bits |= L4LB_LENT_SECOND << L4LB_OF_TAKING;
            return 1;
        }
        choice->lent = number;
        choice->bits |= bits << L4LB_RANKS;
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
    servers = choice->ranks ^ ((choice->ranks ^ choice->lent) & ~l4lb_if_zero(number / L4LB_RANKS));
    return servers >> (16 * (number % L4LB_RANKS)) & ~l4lb_if_zero(set);
}

/*
 * Puts the servers of a packet's flow in order, when some of them have anything but all of their entries' flows. See
 * docs/l4lb.md, "Which server".
 */
L4LB_STEP l4lb_order(struct l4lb_packet *packet, __u32 table, __u32 mask, __u32 hops)
{
    struct l4lb_choice choice = {.table = table, .mask = mask};
    __u32 number, bits, alive, open, taking, first, second, above, sets[4];
    __u64 word;
    int udp;

    if (!packet)
        return -1;
    udp = packet->flow.protocol == IPPROTO_UDP;
    choice.entry = packet->hash >> 32 & mask;
    choice.ranks = packet->way.all;
    packet->way.all = 0;
#pragma unroll
    for (int rank = 0; rank < L4LB_RANKS; rank++) {
        number = choice.ranks >> (16 * rank) & 0xffff;
        if (l4lb_read_word(&number, &word))
            return -1;
        bits = l4lb_weigh(choice.entry, number, word);
        /* One after the other, or all of it would be on the stack at once. */
        asm volatile("" : "+r"(bits)::"memory");
        choice.bits |= bits << rank;
    }
    taking = l4lb_set_of(&choice, L4LB_OF_TAKING);
    /* Whoever is not ranked here may still have taken it, while two of those that are did not. */
    if (choice.ranks >> 48 && !(taking & (taking - 1))) {
        bpf_loop(L4LB_PROBES, l4lb_probe, &choice, 0);
        taking = l4lb_set_of(&choice, L4LB_OF_TAKING);
        if (taking & L4LB_LENT_OWNER)
            l4lb_count(L4LB_PROBED, packet);
    }
    open = l4lb_set_of(&choice, L4LB_OF_OPEN);
    /* Whoever is lent has no flows that it need be asked for. */
    alive = l4lb_set_of(&choice, L4LB_OF_ALIVE) & (L4LB_LENT_OWNER - 1);
    if (!open)
        l4lb_count(L4LB_ALL_DOWN, packet);
    /* If nobody takes it: whoever is open, whoever is there, the first. */
    first = alive | (l4lb_if_zero(alive) & 1);
    first = open | (first & l4lb_if_zero(open));
    first = taking | (first & l4lb_if_zero(taking));
    first &= -first;
    second = taking & ~first;
    second &= -second;
    above = alive & (first - 1);
    if (udp) {
        sets[0] = above;
        sets[1] = second & ~l4lb_if_zero(l4lb_set_of(&choice, L4LB_OF_FILLING) & first);
        sets[2] = first;
        sets[3] = 0;
    } else {
        sets[0] = first;
        sets[1] = above;
        sets[2] = second & (L4LB_LENT_OWNER - 1);
        /* A server that is lent comes last: it has no flows of this entry unless four had none to take. */
        sets[3] = (alive | second) & ~(first | above | sets[2]);
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

/* Not 0 if a server does anything but take all flows of its entries. */
static __always_inline __u64 l4lb_is_special(__u64 word)
{
    return (word ^ (L4LB_ACTIVE << 16 | L4LB_WEIGHT_ALL)) & 0xffffff;
}

/* Not 0 if it is down: no other state has both bits. */
static __always_inline __u64 l4lb_is_down(__u64 word)
{
    return word & word >> 1 & 1 << 16;
}

/* What is unusual of an entry: in 24 bits each that of ranks 0 and 1, then whether ranks 2 and 3 are down. */
#define L4LB_UNUSUAL_BITS  24
#define L4LB_UNUSUAL_THIRD (1ull << 2 * L4LB_UNUSUAL_BITS)

/*
 * Most often it is one server, and that drains or is down, while the others are as usual. Of TCP, one that drains and
 * the next in the ranking change places, and one that is down is left out: what l4lb_order finds too, in far more time.
 * 0 if it is so.
 */
static __always_inline int l4lb_pass_over(__u64 *ranks, __u64 unusual)
{
    /* All ones if it is not rank 0; the place of its number in the ranking, and of what is unusual of it. */
    __u64 is_behind = ~l4lb_if_zero(unusual >> L4LB_UNUSUAL_BITS), word;
    __u64 place = 16 & is_behind, state = unusual >> (L4LB_UNUSUAL_BITS & is_behind);
    __u32 third = *ranks >> 32 & 0xffff, other = *ranks >> place >> 16 & 0xffff;

    if (unusual == L4LB_UNUSUAL_THIRD || unusual == L4LB_UNUSUAL_THIRD << 1) {
        /* Two before it take the flow. */
        place = 32 + 16 * (unusual >> (2 * L4LB_UNUSUAL_BITS + 1));
        state = L4LB_DOWN << 16;
    } else if (unusual != state << (L4LB_UNUSUAL_BITS & is_behind) || !other || l4lb_read_word(&third, &word) ||
               l4lb_is_special(word) & ~l4lb_if_zero(third)) {
        return -1;
    }
    if (state == L4LB_DOWN << 16) {
        __u64 before = (1ull << place) - 1;

        *ranks = (*ranks & before) | (*ranks >> 16 & ~before);
        return 0;
    }
    if (state != L4LB_DRAINING << 16)
        return -1;
    other ^= *ranks >> place & 0xffff;
    *ranks ^= (other | (__u64)other << 16) << place;
    return 0;
}

/* The servers to ask for a packet's flow; 0 if there is any. */
static __always_inline int l4lb_choose(struct l4lb_packet *packet, __u32 table, __u32 mask, __u32 hops)
{
    __u64 ranks = l4lb_ranks_of(table, packet->hash >> 32 & mask), unusual = 0, word;
    int single = packet->flow.protocol == IPPROTO_UDP || !hops;
    __u32 number;

    if (!(ranks & 0xffff))
        return -1;
    packet->way.all = ranks;
#pragma unroll
    for (int rank = 0; rank < L4LB_RANKS; rank++) {
        number = ranks >> (16 * rank) & 0xffff;
        if (l4lb_read_word(&number, &word))
            return -1;
        /* Whoever comes behind two that take the flow may be anything but down. */
        unusual |= rank < 2 ? (l4lb_is_special(word) & ~l4lb_if_zero(number)) << (rank * L4LB_UNUSUAL_BITS)
                            : l4lb_is_down(word) << (2 * L4LB_UNUSUAL_BITS - 18 + rank);
        if (!rank && single) {
            if (unusual)
                break;
            /* It has all of them, and nobody else need be asked. */
            packet->way.all = number;
            return 0;
        }
    }
    if (unusual && (single || l4lb_pass_over(&ranks, unusual)))
        return l4lb_order(packet, table, mask, hops);
    packet->way.all = ranks & ~0ull >> (16 * ((L4LB_HOPS - hops) & L4LB_HOPS));
    return 0;
}
