// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/*
 * Runs a program of traffic control on an IPv4 packet to another address each time: no other hook of packets that have
 * been received can change them.
 */

/* Set before load: how many addresses there are, and the first, in host byte order. 1 leaves the packet alone. */
const volatile __u32 addresses = 1;
const volatile __u32 first = 0;

/* Slot 0: the program. */
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} program SEC(".maps");

static __u64 drawn = 1;

/* Global, so that what it calls comes back here. */
__attribute__((noinline)) int call(struct __sk_buff *ctx)
{
    volatile int missing = TC_ACT_SHOT;

    bpf_tail_call(ctx, &program, 0);
    return missing;
}

SEC("tc") int harness_skb(struct __sk_buff *ctx)
{
    if (addresses > 1) {
        __be32 address;

        drawn = drawn * 6364136223846793005ull + 1442695040888963407ull;
        address = bpf_htonl(first + (__u32)(drawn >> 33) % addresses);
        bpf_skb_store_bytes(ctx, sizeof(struct ethhdr) + offsetof(struct iphdr, daddr), &address, sizeof(address), 0);
    }
    call(ctx);
    return TC_ACT_OK;
}

/* What stands in for the program, to see what the rest costs. */
SEC("tc") int bare_skb(struct __sk_buff *ctx)
{
    (void)ctx;
    return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
