// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Somebody else's firewall: rules in maps, a constant, its own counters. It knows nothing of Sluice. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct verdicts {
    __u64 passed, dropped;
};

/* UDP ports that are blocked. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, __u16);
    __type(value, __u64);
} blocked_ports_of_udp SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct verdicts);
} counts SEC(".maps");

/* A port that is blocked whatever the rules say. */
const volatile __u16 always = 0;

SEC("xdp") int firewall(struct xdp_md *ctx)
{
    struct ethhdr *eth = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    struct iphdr *ip = (void *)(eth + 1);
    struct udphdr *udp = (void *)(ip + 1);
    struct verdicts *count;
    __u32 zero = 0;
    __u16 port;

    if ((void *)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP)
        return XDP_PASS;
    port = bpf_ntohs(udp->dest);
    count = bpf_map_lookup_elem(&counts, &zero);
    if (!count)
        return XDP_ABORTED;
    if (port != always && !bpf_map_lookup_elem(&blocked_ports_of_udp, &port)) {
        __sync_fetch_and_add(&count->passed, 1);
        return XDP_PASS;
    }
    __sync_fetch_and_add(&count->dropped, 1);
    return XDP_DROP;
}

/* The same from afar, but other instructions. */
SEC("xdp") int lookalike(struct xdp_md *ctx)
{
    __u32 zero = 0;

    (void)ctx;
    return bpf_map_lookup_elem(&counts, &zero) ? XDP_PASS : XDP_ABORTED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
