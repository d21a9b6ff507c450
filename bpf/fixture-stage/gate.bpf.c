// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A socket filter of others, for tests: says the same of every packet. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 bytes_kept = 0;

SEC("socket") int gate(struct __sk_buff *ctx)
{
    (void)ctx;
    return bytes_kept;
}

char _license[] SEC("license") = "Dual BSD/GPL";
