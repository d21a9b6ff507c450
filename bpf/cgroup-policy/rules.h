/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Which rule holds for an address, a protocol and ports. Included after the header of a hook. */

#include <linux/in.h>
#include <bpf/bpf_endian.h>

/* What the rules tell apart, a bit each. */
#define POLICY_TCP   1
#define POLICY_UDP   2
#define POLICY_OTHER 4

/* <linux/in.h> of Debian 12 has it, older ones do not. */
#define POLICY_MPTCP 262

/* In the number of a rule: that it denies. */
#define POLICY_DENIES (1u << 31)

/* An address lies in one prefix, the longest, and that has so many matches at most. */
#define POLICY_MATCHES_MAX 64

/* An address of IPv4 is that of IPv6 that it is mapped to. In network byte order. */
struct policy_key {
    __u32 length;
    __u32 address[4];
};

/* The rules of all addresses of a prefix that are in no longer one: `count` matches from `first` on, tried in order, of
 * which the last holds for everything. Of none, `first` is itself the rule. */
struct policy_place {
    __u32 first;
    __u32 count;
};

struct policy_match {
    /* Host byte order; both ends are in the range. */
    __u16 port_first;
    __u16 port_last;
    __u16 local_first;
    __u16 local_last;
    __u32 protocols;
    __u32 rule;
};

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct policy_key);
    __type(value, struct policy_place);
} prefixes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct policy_match);
} matches SEC(".maps");

/* Whether there are rules for this hook at all. */
const volatile __u8 judges = 0;
/* Whether what is denied is, or only reported. */
const volatile __u8 enforces = 0;

static __always_inline __u32 policy_class(__u32 protocol)
{
    if (protocol == IPPROTO_TCP || protocol == POLICY_MPTCP)
        return POLICY_TCP;
    if (protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE)
        return POLICY_UDP;
    return POLICY_OTHER;
}

/* Gives the rule, with POLICY_DENIES if it denies. */
static __always_inline __u32 policy_find(const struct policy_key *key, __u32 class, __u16 port, __u16 local)
{
    struct policy_place *place = bpf_map_lookup_elem(&prefixes, key);

    /* Both families have a prefix of everything. */
    if (!place)
        return POLICY_DENIES;
    if (!place->count)
        return place->first;
    for (__u32 i = 0; i < POLICY_MATCHES_MAX; i++) {
        __u32 index = place->first + i;
        struct policy_match *match;

        if (i >= place->count)
            break;
        match = bpf_map_lookup_elem(&matches, &index);
        if (!match)
            break;
        if (match->protocols & class && port >= match->port_first && port <= match->port_last &&
            local >= match->local_first && local <= match->local_last)
            return match->rule;
    }
    return POLICY_DENIES;
}

/* In the last 32 bits of an address that begins with these: one of IPv4. */
static __always_inline void policy_map_ipv4(struct policy_key *key, __u32 address)
{
    key->address[0] = 0;
    key->address[1] = 0;
    key->address[2] = bpf_htonl(0xffff);
    key->address[3] = address;
}
