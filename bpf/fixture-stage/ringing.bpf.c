// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <sluice/xdp_stage.h>

#include <bpf/bpf_endian.h>

/*
 * A stage that tells of each UDP packet in a ring buffer, numbered from 1 in each generation, and gives them a verdict
 * that its plugin sets while it is live.
 */

struct ringing_record {
    __u64 number;
    __u32 port;
    __u32 unused;
};

struct ringing_counts {
    __u64 told;
    __u64 full;
};

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 65536);
} told SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct ringing_counts);
} counts SEC(".maps");

/* 0 for the next stage's turn. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} ringing_verdict SEC(".maps");

SLUICE_XDP_STAGE(ringing)
{
    struct ethhdr *ethernet = (void *)(long)ctx->data;
    struct iphdr *ip = (void *)(ethernet + 1);
    struct udphdr *udp = (void *)(ip + 1);
    struct ringing_record *record;
    struct ringing_counts *count;
    __u32 zero = 0, *verdict;

    if ((void *)(udp + 1) > (void *)(long)ctx->data_end || ethernet->h_proto != bpf_htons(ETH_P_IP) ||
        ip->protocol != IPPROTO_UDP)
        return SLUICE_NEXT;
    count = bpf_map_lookup_elem(&counts, &zero);
    verdict = bpf_map_lookup_elem(&ringing_verdict, &zero);
    if (!count || !verdict)
        return XDP_ABORTED;
    record = bpf_ringbuf_reserve(&told, sizeof(*record), 0);
    if (!record) {
        __sync_fetch_and_add(&count->full, 1);
        return *verdict ? *verdict : SLUICE_NEXT;
    }
    record->number = __sync_fetch_and_add(&count->told, 1) + 1;
    record->port = bpf_ntohs(udp->dest);
    record->unused = 0;
    bpf_ringbuf_submit(record, 0);
    return *verdict ? *verdict : SLUICE_NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
