// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include <sluice/xdp_stage.h>

/* A stage that drops UDP to ports, which its plugin changes while it is live. */

#define LIVE_SLOTS 4

/* Port 0: the slot is free. */
struct live_slot {
    __u32 port;
    char name[12];
};

/* Rules of all generations. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, LIVE_SLOTS);
    __type(key, __u32);
    __type(value, struct live_slot);
} live_slots SEC(".maps") SLUICE_STATE;

/* Ports of one generation: those of its configuration, and more. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u32);
} live_ports SEC(".maps");

struct live_hit {
    __u64 packets;
    __u64 last;
};

/* What each slot has dropped. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, LIVE_SLOTS);
    __type(key, __u32);
    __type(value, struct live_hit);
} live_hits SEC(".maps") SLUICE_STATE;

SLUICE_XDP_STAGE(live)
{
    struct ethhdr *eth = (void *)(long)ctx->data;
    struct iphdr *ip = (void *)(eth + 1);
    struct udphdr *udp = (void *)(ip + 1);
    __u32 port;

    if ((void *)(udp + 1) > (void *)(long)ctx->data_end || eth->h_proto != bpf_htons(ETH_P_IP) ||
        ip->protocol != IPPROTO_UDP)
        return SLUICE_NEXT;
    port = bpf_ntohs(udp->dest);
    for (__u32 i = 0; i < LIVE_SLOTS; i++) {
        __u32 key = i;
        struct live_slot *slot = bpf_map_lookup_elem(&live_slots, &key);
        struct live_hit *hit = bpf_map_lookup_elem(&live_hits, &key);

        if (!slot || !hit || !slot->port || slot->port != port)
            continue;
        hit->packets++;
        hit->last = bpf_ktime_get_ns();
        return XDP_DROP;
    }
    return bpf_map_lookup_elem(&live_ports, &port) ? XDP_DROP : SLUICE_NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
