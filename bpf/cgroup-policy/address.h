/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What becomes of an address that a process is about to use. Included after <sluice/cgroup_sock_addr_stage.h>. */

#include "report.h"

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} rule_counters SEC(".maps");

/* One end that stands for another. */
struct policy_end {
    __u32 address[4];
    /* Host byte order. */
    __u16 port;
    __u16 pad;
    __u32 protocol;
};

struct policy_backend {
    __u32 address[4];
    __u16 port;
    __u16 pad;
    __u32 rule;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct policy_end);
    __type(value, struct policy_backend);
} rewrites SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} rewrite_counters SEC(".maps");

const volatile __u8 rewriting = 0;

static __always_inline void policy_count(void *map, __u32 index)
{
    __u64 *count = bpf_map_lookup_elem(map, &index);

    if (count)
        __sync_fetch_and_add(count, 1);
}

static __always_inline void policy_read_ipv4(struct bpf_sock_addr *ctx, struct policy_key *key)
{
    policy_map_ipv4(key, ctx->user_ip4);
}

static __always_inline void policy_read_ipv6(struct bpf_sock_addr *ctx, struct policy_key *key)
{
    key->address[0] = ctx->user_ip6[0];
    key->address[1] = ctx->user_ip6[1];
    key->address[2] = ctx->user_ip6[2];
    key->address[3] = ctx->user_ip6[3];
}

static __always_inline void policy_write_ipv4(struct bpf_sock_addr *ctx, const struct policy_backend *backend)
{
    ctx->user_ip4 = backend->address[3];
    ctx->user_port = bpf_htons(backend->port);
}

static __always_inline void policy_write_ipv6(struct bpf_sock_addr *ctx, const struct policy_backend *backend)
{
    ctx->user_ip6[0] = backend->address[0];
    ctx->user_ip6[1] = backend->address[1];
    ctx->user_ip6[2] = backend->address[2];
    ctx->user_ip6[3] = backend->address[3];
    ctx->user_port = bpf_htons(backend->port);
}

/* A destination of zeros is the machine itself, of old: what is said of the loopback address holds for it. */
static __always_inline void policy_destination(struct policy_key *key)
{
    __u32 zeros = key->address[0] | key->address[1];

    if (zeros || key->address[3])
        return;
    if (!key->address[2])
        key->address[3] = bpf_htonl(1);
    else if (key->address[2] == bpf_htonl(0xffff))
        key->address[3] = bpf_htonl(0x7f000001);
}

/* False if the call is to fail. */
static __always_inline int policy_allows(struct bpf_sock_addr *ctx, const struct policy_key *key)
{
    __u16 port = bpf_ntohs(ctx->user_port);
    __u32 rule, number;
    struct policy_report *report;

    if (!judges)
        return 1;
    rule = policy_find(key, policy_class(ctx->protocol), port, 0);
    number = rule & ~POLICY_DENIES;
    policy_count(&rule_counters, number);
    if (!(rule & POLICY_DENIES))
        return 1;
    report = policy_begin_report(number);
    if (report) {
        policy_tell_process(report);
        report->port = port;
        report->protocol = ctx->protocol;
        __builtin_memcpy(report->address, key->address, sizeof(report->address));
        bpf_ringbuf_submit(report, 0);
    }
    return !enforces;
}

/* The end that a destination stands for; null if it stands for itself. */
static __always_inline struct policy_backend *policy_backend_of(struct bpf_sock_addr *ctx, const struct policy_key *key)
{
    struct policy_end end = {};
    struct policy_backend *backend;

    if (!rewriting)
        return 0;
    __builtin_memcpy(end.address, key->address, sizeof(end.address));
    end.port = bpf_ntohs(ctx->user_port);
    end.protocol = policy_class(ctx->protocol);
    backend = bpf_map_lookup_elem(&rewrites, &end);
    if (backend)
        policy_count(&rewrite_counters, backend->rule);
    return backend;
}
