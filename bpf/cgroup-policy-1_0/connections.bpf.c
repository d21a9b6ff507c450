// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Options of TCP connections, set when they begin. */
#include <sluice/sockops_stage.h>

#define POLICY_OPTIONS_MAX 16

/* What has numbers in <netinet/tcp.h>, which is no header of the kernel's. */
#define POLICY_SOL_TCP        6
#define POLICY_TCP_CONGESTION 13

struct policy_option {
    __s32 level;
    __s32 name;
    __s32 value;
    /* A bit for each BPF_SOCK_OPS_*_CB at which it is set. */
    __u32 when;
    /* Of one family only, or 0. */
    __u32 family;
};

struct policy_set {
    __u64 set;
    __u64 refused;
};

/* By option; behind them the congestion control and the receive window. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct policy_set);
} option_counters SEC(".maps");

const volatile struct policy_option options[POLICY_OPTIONS_MAX];
const volatile __u32 option_count = 0;
const volatile char congestion[16];
/* In segments; 0 to leave it to the kernel. */
const volatile __u32 receive_window = 0;

static __always_inline void policy_count_option(__u32 index, int failed)
{
    struct policy_set *count = bpf_map_lookup_elem(&option_counters, &index);

    if (!count)
        return;
    if (failed)
        __sync_fetch_and_add(&count->refused, 1);
    else
        __sync_fetch_and_add(&count->set, 1);
}

SLUICE_SOCKOPS_STAGE(policy_connections)
{
    __u32 op = ctx->op;

    if (op == BPF_SOCK_OPS_RWND_INIT && receive_window) {
        ctx->reply = receive_window;
        policy_count_option(option_count + 1, 0);
        return SLUICE_NEXT;
    }
    if (op != BPF_SOCK_OPS_TCP_CONNECT_CB && op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB &&
        op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
        return SLUICE_NEXT;
#pragma unroll
    for (__u32 i = 0; i < POLICY_OPTIONS_MAX; i++) {
        const volatile struct policy_option *option = &options[i];
        __s32 value = option->value;

        if (i < option_count && option->when & 1u << op && (!option->family || option->family == ctx->family))
            policy_count_option(i, bpf_setsockopt(ctx, option->level, option->name, &value, sizeof(value)));
    }
    if (congestion[0] && op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB) {
        char name[16];

#pragma unroll
        for (int i = 0; i < 16; i++)
            name[i] = congestion[i];
        policy_count_option(option_count,
                            bpf_setsockopt(ctx, POLICY_SOL_TCP, POLICY_TCP_CONGESTION, name, sizeof(name)));
    }
    return SLUICE_NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
