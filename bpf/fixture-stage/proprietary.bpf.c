// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An object that says of itself that it is not free, and a program of it that uses what only those may that are. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp") int modest(struct xdp_md *ctx)
{
    return ctx->data_end - ctx->data > 100 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int presumptuous(struct xdp_md *ctx)
{
    char text[] = "seen";

    bpf_trace_printk(text, sizeof(text));
    return ctx->data_end - ctx->data > 100 ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "Proprietary";
