// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>

/*
 * Runs a program on a packet over and over, and undoes what it did to it in between: the kernel does not, so that a
 * balancer would encapsulate the packet again and again.
 */

#define RESTORED_MAX 128

/* Set before load. The packet's length, and how much of its start is put back after each run: 0, 14 or 128. */
const volatile __u32 length = 0;
const volatile __u32 restored = 0;
/* Over so many flows less one, a power of two, at random; 0 for one flow. With `counts` one after the other. */
const volatile __u32 flow_mask = 0;
const volatile __u8 counts = 0;

/* Slot 0: the program. */
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} program SEC(".maps");

struct start {
    __u8 bytes[RESTORED_MAX];
};

/* The start of the packet. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct start);
} starts SEC(".maps");

/* How often each verdict came, XDP_ABORTED first; in the last row the packets that could not be put back. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, XDP_REDIRECT + 2);
    __type(key, __u32);
    __type(value, __u64);
} outcomes SEC(".maps");

static __u64 drawn = 1;

static __always_inline void tally(__u32 row)
{
    __u64 *count = bpf_map_lookup_elem(&outcomes, &row);

    if (count)
        (*count)++;
}

/* Gives the packet another source address: all of IPv4, no checksum. */
static __always_inline void set_flow(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data;
    struct iphdr *ip = data + sizeof(struct ethhdr);
    __u32 flow;

    if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
        return;
    if (counts) {
        flow = ++drawn;
    } else {
        drawn = drawn * 6364136223846793005ull + 1442695040888963407ull;
        flow = drawn >> 33 & flow_mask;
    }
    ip->saddr = __builtin_bswap32(0x0a000000 + flow);
}

static __always_inline int put_back(struct xdp_md *ctx)
{
    __u32 zero = 0;
    struct start *start = bpf_map_lookup_elem(&starts, &zero);
    void *data = (void *)(long)ctx->data;
    __u64 now = (void *)(long)ctx->data_end - data;
    int longer;

    /* Else the compiler would take the difference of two pointers in 32 bits. */
    asm volatile("" : "+r"(now));
    longer = now - length;
    if (longer && bpf_xdp_adjust_head(ctx, longer))
        return -1;
    data = (void *)(long)ctx->data;
    if (!start || data + restored > (void *)(long)ctx->data_end)
        return -1;
    if (restored == RESTORED_MAX) {
        if (data + RESTORED_MAX > (void *)(long)ctx->data_end)
            return -1;
        __builtin_memcpy(data, start, RESTORED_MAX);
    } else if (restored) {
        if (data + sizeof(struct ethhdr) > (void *)(long)ctx->data_end)
            return -1;
        __builtin_memcpy(data, start, sizeof(struct ethhdr));
    }
    return 0;
}

/* Global, so that what it calls comes back here. */
__attribute__((noinline)) int call(struct xdp_md *ctx)
{
    volatile int missing = -1;

    bpf_tail_call(ctx, &program, 0);
    return missing;
}

SEC("xdp") int harness(struct xdp_md *ctx)
{
    int verdict;

    if (flow_mask)
        set_flow(ctx);
    verdict = call(ctx);
    tally(verdict & 7);
    if (put_back(ctx))
        tally(XDP_REDIRECT + 1);
    return XDP_PASS;
}

/* What stands in for the program, to see what the rest costs: nothing at all; moving the start of the packet. */
const volatile int shift = 0;

SEC("xdp") int bare(struct xdp_md *ctx)
{
    if (shift && bpf_xdp_adjust_head(ctx, shift))
        return XDP_ABORTED;
    return XDP_TX;
}

/* Sends live frames, each put back first: pages are used again as they are. */
SEC("xdp") int generate(struct xdp_md *ctx)
{
    if (put_back(ctx))
        return XDP_ABORTED;
    if (flow_mask)
        set_flow(ctx);
    return XDP_TX;
}

/* Takes them in. */
SEC("xdp") int sink(struct xdp_md *ctx)
{
    (void)ctx;
    tally(XDP_DROP);
    return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
