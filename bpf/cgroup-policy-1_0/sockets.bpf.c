// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The sockets that processes of the cgroup make. */
#include <sluice/cgroup_sock_stage.h>

#include "../cgroup-policy/report.h"

#define POLICY_KINDS_MAX 16
/* For a number that nothing is asked of. */
#define POLICY_ANY 0xffffffffu

struct policy_kind {
    __u32 family;
    __u32 type;
    __u32 protocol;
    __u32 rule;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} rule_counters SEC(".maps");

/* Those that are denied, `kind_count` of them; 0 is the rule of what is left. */
const volatile struct policy_kind kinds[POLICY_KINDS_MAX];
const volatile __u32 kind_count = 0;
const volatile __u8 marking = 0;
const volatile __u32 mark = 0;
const volatile __u8 prioritizing = 0;
const volatile __u32 priority = 0;

SLUICE_CGROUP_SOCK_STAGE(policy_sockets)
{
    __u32 family = ctx->family, type = ctx->type, protocol = ctx->protocol, number = 0;
    struct policy_report *report;
    __u64 *count;

    if (judges) {
#pragma unroll
        for (__u32 i = 0; i < POLICY_KINDS_MAX; i++) {
            const volatile struct policy_kind *kind = &kinds[i];

            if (i < kind_count && !number && (kind->family == POLICY_ANY || kind->family == family) &&
                (kind->type == POLICY_ANY || kind->type == type) &&
                (kind->protocol == POLICY_ANY || kind->protocol == protocol))
                number = kind->rule;
        }
        count = bpf_map_lookup_elem(&rule_counters, &number);
        if (count)
            __sync_fetch_and_add(count, 1);
    }
    if (number) {
        report = policy_begin_report(number);
        if (report) {
            policy_tell_process(report);
            report->protocol = protocol;
            /* There is no address yet; what was asked for is told in its place. */
            report->address[0] = family;
            report->address[1] = type;
            bpf_ringbuf_submit(report, 0);
        }
        if (enforces)
            return SLUICE_DROP;
    }
    if (marking)
        ctx->mark = mark;
    if (prioritizing)
        ctx->priority = priority;
    return SLUICE_NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
