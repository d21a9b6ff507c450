// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * More XDP programs that know nothing of Sluice: what the loader, the compiler or the verifier does behind their backs.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bytes.h"

struct inner {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u32);
} first SEC(".maps"), second SEC(".maps");

/* Maps in a map, which the object puts there itself. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 3);
    __uint(key_size, sizeof(__u32));
    __array(values, struct inner);
} outer SEC(".maps") = {
    .values = {[0] = &first, [2] = &second},
};

struct guarded {
    struct bpf_spin_lock lock;
    __u32 count;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct guarded);
} guards SEC(".maps");

struct timed {
    struct bpf_timer timer;
    __u32 count;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct timed);
} timers SEC(".maps");

/* What the kernel's own looks like, its members in other places. */
struct sk_buff {
    __u32 len;
} __attribute__((preserve_access_index));

__u32 extra SEC(".data.extra") = 5;
const volatile __u32 table[4] SEC(".rodata.table") = {1, 2, 3, 4};
static __u64 (*volatile chosen)(void);

/* It fills a buffer from its end, so that no single instruction tells how deep it goes. */
static __noinline int digits(__u8 *end, __u32 value)
{
    for (int i = 0; i < 32; i++) {
        *--end = value % 10;
        value = value * 7 + 3;
    }
    return end[0] + end[31];
}

SEC("xdp") int backwards(struct xdp_md *ctx)
{
    __u8 buffer[32];

    return digits(buffer + sizeof(buffer), byte_at(ctx, 22)) % 5;
}

/* A verdict in the lower half of a register whose upper half is something else. */
SEC("xdp") int wide_verdict(struct xdp_md *ctx)
{
    __u64 value = byte_at(ctx, 23) % 5;

    if (value != XDP_DROP)
        asm volatile("r0 = 0x7700000000 ll\n"
                     "r0 |= %[value]\n"
                     "exit" ::[value] "r"(value)
                     : "r0");
    return XDP_DROP;
}

/* What it finds depends on the kernel's types, not on the compiler's. */
SEC("xdp/ingress") int relocated(struct xdp_md *ctx)
{
    if (!bpf_core_type_exists(struct sk_buff) || !bpf_core_field_exists(struct sk_buff, len))
        return XDP_ABORTED;
    return (byte_at(ctx, 24) + bpf_core_field_offset(struct sk_buff, len)) % 5;
}

SEC("xdp_old/style") int maps_in_a_map(struct xdp_md *ctx)
{
    __u32 which = byte_at(ctx, 25) & 3, key = byte_at(ctx, 26) & 3;
    void *inner = bpf_map_lookup_elem(&outer, &which);
    __u32 *value;

    if (!inner)
        return XDP_DROP;
    value = bpf_map_lookup_elem(inner, &key);
    if (!value)
        return XDP_ABORTED;
    *value += 1;
    return *value % 3 ? XDP_PASS : XDP_TX;
}

SEC("xdp") int locked(struct xdp_md *ctx)
{
    __u32 key = 0, count;
    struct guarded *guarded = bpf_map_lookup_elem(&guards, &key);

    if (!guarded)
        return XDP_ABORTED;
    bpf_spin_lock(&guarded->lock);
    count = guarded->count += byte_at(ctx, 27);
    bpf_spin_unlock(&guarded->lock);
    return count % 5;
}

static int on_timer(void *map, __u32 *key, struct timed *timed)
{
    (void)map;
    (void)key;
    timed->count = 0;
    return 0;
}

/* A callback that is not called where it is given. */
SEC("xdp") int with_timer(struct xdp_md *ctx)
{
    __u32 key = 0;
    struct timed *timed = bpf_map_lookup_elem(&timers, &key);

    if (!timed)
        return XDP_ABORTED;
    bpf_timer_init(&timed->timer, &timers, 0);
    bpf_timer_set_callback(&timed->timer, on_timer);
    return (timed->count += byte_at(ctx, 28)) % 5;
}

/* Variables in sections of their own, and a text that the compiler puts into yet another. */
SEC("xdp.frags/ingress") int sections(struct xdp_md *ctx)
{
    const char *text = "some text of the compiler's";

    if (chosen)
        return XDP_ABORTED;
    extra += table[byte_at(ctx, 29) & 3];
    return (extra + text[byte_at(ctx, 30) & 15]) % 5;
}

/* Its first end is farther from its last than a jump goes, but not from the one between. */
SEC("xdp") int far_ends(struct xdp_md *ctx)
{
    __u64 value = byte_at(ctx, 22);

#define END(n) asm volatile("if %[value] != " #n " goto +2\n r0 = 2\n exit" ::[value] "r"(value) : "r0");
#define FILL                                                                                                           \
    asm volatile(".rept 20000\n"                                                                                       \
                 "%[value] += 3\n"                                                                                     \
                 ".endr"                                                                                               \
                 : [value] "+r"(value));
    END(7)
    FILL END(60009) FILL return value % 5;
}

/* It has no end on the way. */
SEC("xdp") int too_far_an_end(struct xdp_md *ctx)
{
    __u64 value = byte_at(ctx, 23);

    END(7)
    FILL FILL return value % 5;
}

/* None of these is for us, or can be loaded here; they must not stand in the way. */
SEC("freplace/no_such_function") int replacement(struct xdp_md *ctx)
{
    return ctx->rx_queue_index;
}

SEC("fentry/no_such_function") int on_entry(void *ctx)
{
    return !ctx;
}

SEC("xdp/devmap") int of_a_device(struct xdp_md *ctx)
{
    return ctx->rx_queue_index ? XDP_PASS : XDP_DROP;
}

/* The same, as it was written once. */
SEC("xdp_cpumap/0") int of_a_cpu(struct xdp_md *ctx)
{
    return ctx->data_end - ctx->data > 100 ? XDP_PASS : XDP_DROP;
}

SEC("tc") int of_tc(struct __sk_buff *skb)
{
    return skb->len > 100;
}

char _license[] SEC("license") = "Dual BSD/GPL";
