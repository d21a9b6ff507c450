/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <bpf/bpf_endian.h>

#include "maps.h"

/* The steps of a binary search in one slice: half of the rules can each begin an interval there, and end one. */
#define DOS_SLICE_STEPS 15

/* 1 if `last` is below `key`, without a branch: which of eight children it is no processor can predict. */
static __always_inline __u64 dos_is_below(__u64 last, __u64 key)
{
    return ((~last & key) | (~(last ^ key) & (last - key))) >> 63;
}

/* The same for numbers of less than 64 bits. */
static __always_inline __u64 dos_is_below_narrow(__u64 last, __u64 key)
{
    return (last - key) >> 63;
}

/* What the leaf of an address has: a class, or a slice. */
static __always_inline __u32 dos_find_leaf(const volatile struct dos_tree *tree, __u64 key, int narrow)
{
    __u32 node = 0, child = 0, index;
    struct dos_leaf *leaf;

#pragma unroll
    for (__u32 level = 0; level < DOS_TREE_DEPTH; level++) {
        struct dos_node *found;

        if (level >= tree->depth)
            break;
        node = node * (DOS_NODE_KEYS + 1) + child;
        index = tree->levels[level] + node;
        found = bpf_map_lookup_elem(&nodes, &index);
        if (!found)
            return tree->none;
        child = 0;
#pragma unroll
        for (int i = 0; i < DOS_NODE_KEYS; i++)
            child += narrow ? dos_is_below_narrow(found->lasts[i], key) : dos_is_below(found->lasts[i], key);
    }
    if (!tree->depth)
        return tree->none;
    index = tree->leaves + node;
    leaf = bpf_map_lookup_elem(&leaves, &index);
    if (!leaf || child > DOS_NODE_KEYS)
        return tree->none;
    return leaf->classes[child];
}

/* The class of the lower half of an address: that of the first interval that does not end before it. */
static __attribute__((noinline)) __u32 dos_find_low(__u32 number, __u64 key)
{
    struct dos_slice *slice = bpf_map_lookup_elem(&slices, &number);
    struct dos_low *low;
    __u32 first, last;

    if (!slice)
        return 0;
    first = slice->first;
    last = first + slice->count - 1;
    for (int i = 0; i < DOS_SLICE_STEPS && first < last; i++) {
        __u32 middle = (first + last) / 2;

        low = bpf_map_lookup_elem(&lows, &middle);
        if (!low)
            return 0;
        if (low->last < key)
            first = middle + 1;
        else
            last = middle;
    }
    low = bpf_map_lookup_elem(&lows, &first);
    return low ? low->class : 0;
}

static __always_inline __u32 dos_find_address(int v4, const struct dos_packet *packet,
                                              const struct dos_address *address)
{
    __u32 class;

    if (packet->family == 4)
        return dos_find_leaf(&trees[v4], bpf_ntohl(address->low >> 32), 1);
    class = dos_find_leaf(&trees[v4 + 1], bpf_be64_to_cpu(address->high), 0);
    if (class & DOS_LEAF_SLICE)
        return dos_find_low(class & ~DOS_LEAF_SLICE, bpf_be64_to_cpu(address->low));
    return class;
}

static __always_inline __u32 dos_find_byte(__u32 row, __u8 value)
{
    struct dos_row *found = bpf_map_lookup_elem(&rows, &row);

    return found ? found->entries[value] : 0;
}

static __always_inline __u32 dos_find_number(__u32 row, __u16 value)
{
    return dos_find_byte(dos_find_byte(row, value >> 8), value & 0xff);
}

/* The packet's class of one field. */
static __always_inline __u32 dos_find(enum dos_field_number number, const struct dos_packet *packet)
{
    const volatile struct dos_field *field = &fields[number];

    switch (number) {
    case DOS_SOURCE:
        return dos_find_address(DOS_SOURCE_V4, packet, &packet->source);
    case DOS_DESTINATION:
        return dos_find_address(DOS_DESTINATION_V4, packet, &packet->destination);
    case DOS_SOURCE_PORT:
        if (packet->known & DOS_KNOWS_PORTS)
            return dos_find_number(field->row, packet->source_port);
        return packet->known & DOS_KNOWS_ICMP ? dos_find_number(field->row + 1, packet->icmp) : field->none;
    case DOS_DESTINATION_PORT:
        return packet->known & DOS_KNOWS_PORTS ? dos_find_number(field->row, packet->destination_port) : field->none;
    case DOS_LENGTH:
        return dos_find_number(field->row, packet->length);
    case DOS_PROTOCOL:
        return dos_find_byte(field->row, packet->protocol);
    case DOS_TCP_FLAGS:
        return packet->known & DOS_KNOWS_FLAGS ? dos_find_byte(field->row, packet->tcp_flags) : field->none;
    case DOS_TTL:
        return dos_find_byte(field->row, packet->ttl);
    case DOS_SERVICE:
        return dos_find_byte(field->row, packet->service);
    case DOS_VLAN:
        return packet->vlans[0] == DOS_NO_VLAN ? field->none : dos_find_number(field->row, packet->vlans[0]);
    case DOS_INNER_VLAN:
        return packet->vlans[1] == DOS_NO_VLAN ? field->none : dos_find_number(field->row, packet->vlans[1]);
    default:
        return 0;
    }
}
