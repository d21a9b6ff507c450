// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An XDP program that calls functions of the kernel itself (Linux 6.4). */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int bpf_dynptr_from_xdp(struct xdp_md *xdp, __u64 flags, struct bpf_dynptr *dynptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *dynptr, __u32 offset, void *buffer, __u32 size) __ksym;

SEC("xdp") int kernel_calls(struct xdp_md *ctx)
{
    struct bpf_dynptr packet;
    __u8 buffer[4];
    __u8 *bytes;

    if (bpf_dynptr_from_xdp(ctx, 0, &packet))
        return XDP_ABORTED;
    bytes = bpf_dynptr_slice(&packet, 22, buffer, sizeof(buffer));
    return bytes ? (bytes[0] + bytes[3]) % 5 : XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
