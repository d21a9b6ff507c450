/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * A stage at `socket-filter:GROUP`, begun by SLUICE_SOCKET_FILTER_STAGE(name): a packet that is about to be queued to a
 * socket of the group. `ctx` is a struct __sk_buff. What its data begins with differs: for a UDP socket the UDP header,
 * for a raw one the IP header. bpf_skb_load_bytes_relative(..., BPF_HDR_START_NET) reads from the IP header on at all
 * of them. SLUICE_PASS queues the whole packet, SLUICE_DROP drops it.
 */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <sluice/verdict.h>

#define SLUICE_CONTEXT       struct __sk_buff
#define SLUICE_SECTION       "socket"
#define SLUICE_VERDICTS      (1 << SLUICE_DROP | 1 << SLUICE_PASS)
#define SLUICE_GO_ON         SLUICE_WHOLE
#define SLUICE_REFUSED       0
#define SLUICE_INTERRUPTIBLE 1

/* A socket filter returns how many bytes are left of the packet: no packet has more than so many. */
#define SLUICE_WHOLE 0x7fffffff

static __always_inline __u64 sluice_length(struct __sk_buff *ctx)
{
    return ctx->len;
}

static __always_inline __u32 sluice_returns(__u32 verdict)
{
    return verdict == SLUICE_PASS ? SLUICE_WHOLE : 0;
}

static __always_inline __u32 sluice_verdict(__u32 returned)
{
    return returned ? SLUICE_PASS : SLUICE_DROP;
}

static __always_inline __u32 sluice_clamp(__u32 returned)
{
    return returned;
}

#include <sluice/stage.h>

#define SLUICE_SOCKET_FILTER_STAGE(name) SLUICE_STAGE(name)
