/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What is told of a denial, so many a second of each rule at most. */

#include "rules.h"

/* What a record of the ring buffer is; numbers in host byte order. */
struct policy_report {
    __u64 cgroup;
    /* Of the socket; 0 where a process is known instead. */
    __u64 cookie;
    __u32 rule;
    /* How many of this rule were not told since the last that was. */
    __u32 withheld;
    /* 0 for packets: what happens to run when one is sent or comes is anybody. */
    __u32 process;
    __u32 thread;
    __u32 user;
    __u16 port;
    __u16 local;
    __u16 protocol;
    __u8 enforced;
    __u8 pad[5];
    __u32 address[4];
    char command[16];
};

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 18);
} denials SEC(".maps");

/* By rule. */
struct policy_gate {
    /* When the next report conforms, in ns of the monotonic clock. */
    __u64 due;
    __u64 withheld;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct policy_gate);
} gates SEC(".maps");

/* Reports that found the ring full. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} unreported SEC(".maps");

/* ns from one report of a rule to the next, 0 for no reports; and how much sooner one may come. Set before load. */
const volatile __u64 report_interval = 0;
const volatile __u64 report_burst = 0;

/*
 * Room for a report, to be filled and submitted; null if there is to be none. What the reports of all hooks have is in
 * it already.
 */
static __always_inline struct policy_report *policy_begin_report(__u32 rule)
{
    __u64 now = bpf_ktime_get_ns(), due, start;
    __u32 zero = 0;
    struct policy_report *report;
    struct policy_gate *gate;

    if (!report_interval)
        return 0;
    gate = bpf_map_lookup_elem(&gates, &rule);
    if (!gate)
        return 0;
    due = *(volatile __u64 *)&gate->due;
    start = due > now ? due : now;
    /* Whoever is second of two at once does without. */
    if (start - now > report_burst || __sync_val_compare_and_swap(&gate->due, due, start + report_interval) != due) {
        __sync_fetch_and_add(&gate->withheld, 1);
        return 0;
    }
    report = bpf_ringbuf_reserve(&denials, sizeof(*report), 0);
    if (!report) {
        __u64 *count = bpf_map_lookup_elem(&unreported, &zero);

        if (count)
            __sync_fetch_and_add(count, 1);
        return 0;
    }
    __builtin_memset(report, 0, sizeof(*report));
    report->rule = rule;
    report->withheld = __sync_lock_test_and_set(&gate->withheld, 0);
    report->enforced = enforces;
    return report;
}

/* Of a hook that runs for the process that calls. */
static __always_inline void policy_tell_process(struct policy_report *report)
{
    __u64 id = bpf_get_current_pid_tgid();

    report->process = id >> 32;
    report->thread = id;
    report->user = bpf_get_current_uid_gid();
    report->cgroup = bpf_get_current_cgroup_id();
    bpf_get_current_comm(report->command, sizeof(report->command));
}
