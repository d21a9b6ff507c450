// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A chain of somebody else's making: a program that tail-calls others through an array that its object fills. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp") int even(struct xdp_md *ctx)
{
    return ctx->data_end - ctx->data > 100 ? XDP_TX : XDP_PASS;
}

SEC("xdp") int odd(struct xdp_md *ctx)
{
    return ctx->data_end - ctx->data > 100 ? XDP_DROP : XDP_PASS;
}

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 4);
    __uint(key_size, sizeof(__u32));
    __array(values, int(void *));
} parts SEC(".maps") = {
    .values = {[0] = (void *)&even, [1] = (void *)&odd},
};

SEC("xdp") int dispatch(struct xdp_md *ctx)
{
    __u8 *data = (void *)(long)ctx->data;
    __u8 part;

    if (data + 30 > (__u8 *)(long)ctx->data_end)
        return XDP_DROP;
    /* Before the tail call: some kernels (6.12.118) take it to change the packet, also where its slot is empty. */
    part = data[29];
    bpf_tail_call(ctx, &parts, part & 3);
    /* Slots 2 and 3 are empty. */
    return part & 1 ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
