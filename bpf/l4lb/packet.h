/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "address.h"
#include "maps.h"

/* Q-in-Q has two. */
#define L4LB_VLAN_TAGS 2
#define L4LB_LINK_MAX  (sizeof(struct ethhdr) + L4LB_VLAN_TAGS * sizeof(struct l4lb_vlan))

/* Numbers that <linux/in6.h> leaves to libc. */
#define L4LB_IPPROTO_HOPOPTS  0
#define L4LB_IPPROTO_ROUTING  43
#define L4LB_IPPROTO_FRAGMENT 44
#define L4LB_IPPROTO_ICMPV6   58
#define L4LB_IPPROTO_DSTOPTS  60
#define L4LB_IPPROTO_MOBILITY 135
#define L4LB_IPPROTO_HIP      139
#define L4LB_IPPROTO_SHIM6    140

#define L4LB_ICMP_HEADER 8

struct l4lb_vlan {
    __be16 control;
    __be16 protocol;
};

/* What a packet belongs to, from the client to the VIP; a client's ICMP error to what it quotes, turned round. */
struct l4lb_flow {
    struct l4lb_address source;
    struct l4lb_address destination;
    __be16 source_port; /* 0 for what has none */
    __be16 destination_port;
    __u8 family; /* 4 or 6 */
    __u8 protocol;
    __u8 tcp_flags; /* 0 for what only quotes a packet */
    /* Goes by its address pair: a fragment, or a quoted one without ports. */
    __u8 by_pair;
    __u8 icmp_type;
};

/* The servers to ask for a flow, in this order; 0 ends them. The last one keeps it. */
union l4lb_way {
    __u16 servers[1 + L4LB_HOPS];
    __u64 all;
};

/* A packet, and what is to be done with it. */
struct l4lb_packet {
    struct l4lb_flow flow;
    union l4lb_way way;
    __u64 hash;
    /* Of the frame. */
    __u32 length;
    /* Of Ethernet with its VLAN tags, and of a tunnel's headers behind; 0 without. */
    __u32 link;
    __u32 outer;
    /* Of the (inner) IP packet. */
    __u32 total;
    /* Where its transport header is in the frame, and how much there is from there on: short frames are padded. */
    __u32 transport;
    __u32 left;
    /* The server it goes to, and the place of that on the way. */
    __u32 server;
    __u32 place;
    __u16 overhead;
    __u8 encapsulation;
    __u8 outer_family;
    __u8 tos; /* or traffic class */
    /* May not be fragmented. */
    __u8 whole;
    /* The flow is that of a packet quoted in an ICMP error. */
    __u8 quoted;
    /* A bit for each prefix length under which its destination may be a VIP. */
    __u8 candidates;
};

/*
 * A function of its own that the verifier walks once, and not from wherever it is called: nothing is known of what its
 * arguments point to, nor of what comes back.
 */
#define L4LB_STEP __attribute__((noinline)) int

/* 2^12 is further in than any headers; tells the verifier that offsets are small. */
#define L4LB_OFFSET_MASK 4095

/* The start of what is `offset` bytes into the frame. The compiler knows more of it than the verifier. */
static __always_inline void *l4lb_at(struct xdp_md *ctx, __u32 offset)
{
    asm volatile("" : "+r"(offset));
    return (void *)(long)ctx->data + (offset & L4LB_OFFSET_MASK);
}

static __always_inline void *l4lb_end(struct xdp_md *ctx)
{
    return (void *)(long)ctx->data_end;
}

/* See L4LB_MIX. */
static __always_inline __u64 l4lb_mix(__u64 hash, __u64 word)
{
    hash = (hash ^ word) * L4LB_MIX;
    return hash ^ hash >> 29;
}

/*
 * What follows has no branches where it can do without: all ones if `number`, of less than 64 bits, is 0. Branches
 * would be more paths than the verifier need walk, and some that no processor can predict.
 */
static __always_inline __u64 l4lb_if_zero(__u64 number)
{
    number = (number - 1) >> 63;
    asm volatile("" : "+r"(number));
    return -number;
}

/* The number of the lowest bit, of six. */
static __always_inline __u32 l4lb_lowest(__u32 bits)
{
    bits &= -bits;
    return ((bits >> 1 | bits >> 3 | bits >> 5) & 1) | ((bits >> 1 | bits >> 2) & 2) | ((bits >> 2 | bits >> 3) & 4);
}

static __always_inline void l4lb_count(enum l4lb_verdict verdict, const struct l4lb_packet *packet)
{
    sluice_add(&verdicts, verdict, packet->length);
}
