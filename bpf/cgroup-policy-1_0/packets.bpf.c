// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The packets that sockets of the cgroup send and get. */
#include <sluice/cgroup_skb_stage.h>

#include "../cgroup-policy/packet.h"
#include "../cgroup-policy/report.h"

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sluice_count);
} rule_counters SEC(".maps");

/* Whether it stands at the egress. Set before load. */
const volatile __u8 outwards = 0;

SLUICE_CGROUP_SKB_STAGE(policy_packets)
{
    struct policy_packet packet = {.peer.length = 128, .class = POLICY_OTHER};
    struct policy_report *report;
    __u32 rule, number;

    if (!judges)
        return SLUICE_NEXT;
    policy_read_packet(ctx, outwards, &packet);
    rule = policy_find(&packet.peer, packet.class, packet.port, packet.local);
    number = rule & ~POLICY_DENIES;
    sluice_add(&rule_counters, number, ctx->len);
    if (!(rule & POLICY_DENIES))
        return SLUICE_NEXT;
    report = policy_begin_report(number);
    if (report) {
        report->cgroup = bpf_skb_cgroup_id(ctx);
        report->cookie = bpf_get_socket_cookie(ctx);
        report->user = bpf_get_socket_uid(ctx);
        report->port = packet.port;
        report->local = packet.local;
        report->protocol = packet.protocol;
        __builtin_memcpy(report->address, packet.peer.address, sizeof(report->address));
        bpf_ringbuf_submit(report, 0);
    }
    return enforces ? SLUICE_DROP : SLUICE_NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
