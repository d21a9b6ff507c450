// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * XDP programs that know nothing of Sluice, each of a shape that may be hard to weave into a chain. All of them judge
 * by the packet's bytes, so that many packets give many verdicts.
 */
#include <stdbool.h>

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bytes.h"

struct counter {
    __u64 packets;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, struct counter);
} seen SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
    __uint(pinning, LIBBPF_PIN_BY_NAME);
} own_state SEC(".maps");

struct limits {
    __u32 most;
    __u8 drop[4];
};

const volatile __u32 limit = 200;
const volatile bool strict = false;
const volatile char label[8] = "none";
const volatile struct limits limits = {7, {1, 2, 3, 4}};
__u64 total = 0;
__u32 step = 3;

static __always_inline __u32 verdict_of(__u32 value)
{
    return value % 5;
}

/* All the stack there is. */
SEC("xdp") int deep(struct xdp_md *ctx)
{
    __u64 sum = byte_at(ctx, 15) + byte_at(ctx, 22);

    asm volatile("*(u64 *)(r10 - 512) = %[sum]\n"
                 "*(u64 *)(r10 - 8) = %[sum]\n"
                 "%[sum] = *(u64 *)(r10 - 512)"
                 : [sum] "+r"(sum)::"memory");
    return verdict_of(sum);
}

/* Two hundred places where it ends. */
SEC("xdp") int many_exits(struct xdp_md *ctx)
{
    __u32 value = byte_at(ctx, 20);

#define EXIT(n)                                                                                                        \
    asm volatile("if %[value] != %[number] goto +2\n r0 = %[verdict]\n exit" ::[value] "r"(value), [number] "i"(n),    \
                 [verdict] "i"((n) % 5)                                                                                \
                 : "r0");
#define EXIT10(n)                                                                                                      \
    EXIT(n)                                                                                                            \
    EXIT(n + 1) EXIT(n + 2) EXIT(n + 3) EXIT(n + 4) EXIT(n + 5) EXIT(n + 6) EXIT(n + 7) EXIT(n + 8) EXIT(n + 9)
    EXIT10(0)
    EXIT10(10)
    EXIT10(20)
    EXIT10(30)
    EXIT10(40)
    EXIT10(50)
    EXIT10(60)
    EXIT10(70)
    EXIT10(80)
    EXIT10(90)
    EXIT10(100)
    EXIT10(110)
    EXIT10(120)
    EXIT10(130)
    EXIT10(140)
    EXIT10(150)
    EXIT10(160)
    EXIT10(170)
    EXIT10(180)
    EXIT10(190)
    return XDP_PASS;
}

/* It ends in the middle of a loop. */
SEC("xdp") int exit_in_loop(struct xdp_md *ctx)
{
    for (__u32 i = 14; i < 60; i++) {
        __u32 value = byte_at(ctx, i);

        asm volatile("if %[value] < 252 goto +3\n r0 = %[value]\n r0 -= 252\n exit" ::[value] "r"(value) : "r0");
    }
    return XDP_PASS;
}

/* 30,000 instructions, with ends near both ends. */
SEC("xdp") int big(struct xdp_md *ctx)
{
    __u64 value = byte_at(ctx, 21);

    if (value == 7)
        return XDP_DROP;
    asm volatile(".rept 9990\n"
                 "%[value] *= 5\n"
                 "%[value] += 7\n"
                 "%[value] &= 0xffff\n"
                 ".endr"
                 : [value] "+r"(value));
    if (value % 3 == 0)
        return XDP_TX;
    return verdict_of(value);
}

struct walk {
    struct xdp_md *ctx;
    __u32 sum;
};

static long add_byte(__u32 index, void *context)
{
    struct walk *walk = context;

    walk->sum += byte_at(walk->ctx, 14 + (index & 31));
    return walk->sum > 2000;
}

/* A callback of a helper. */
SEC("xdp") int loop_callback(struct xdp_md *ctx)
{
    struct walk walk = {.ctx = ctx};

    bpf_loop(32, add_byte, &walk, 0);
    return verdict_of(walk.sum);
}

static long add_counter(void *map, const void *key, void *value, void *context)
{
    struct counter *counter = value;

    (void)map;
    (void)key;
    *(__u64 *)context += counter->packets;
    return 0;
}

/* A callback for each entry of a map, and what it remembers decides. */
SEC("xdp") int each_entry(struct xdp_md *ctx)
{
    struct counter one = {1};
    __u32 key = byte_at(ctx, 25) & 31;
    struct counter *counter = bpf_map_lookup_elem(&seen, &key);
    __u64 sum = 0;

    if (counter)
        counter->packets++;
    else
        bpf_map_update_elem(&seen, &key, &one, BPF_ANY);
    bpf_for_each_map_elem(&seen, add_counter, &sum, 0);
    return verdict_of(sum);
}

__noinline int judge(struct xdp_md *ctx, __u32 offset)
{
    volatile __u64 room[8] = {};

    if (!ctx)
        return 0;
    room[offset & 7] = byte_at(ctx, offset & 63);
    return room[offset & 7] + 1;
}

/* A function that the verifier looks at by itself. */
SEC("xdp") int global_function(struct xdp_md *ctx)
{
    return verdict_of(judge(ctx, 14) + judge(ctx, 33));
}

static __noinline __u32 mix(__u32 left, __u32 right)
{
    return left * 31 + right;
}

static __noinline __u32 mix_three(struct xdp_md *ctx, __u32 offset)
{
    return mix(mix(byte_at(ctx, offset), byte_at(ctx, offset + 1)), byte_at(ctx, offset + 2));
}

/* Functions that call functions. */
SEC("xdp") int static_functions(struct xdp_md *ctx)
{
    return verdict_of(mix_three(ctx, 14) ^ mix_three(ctx, 40));
}

/* Constants, variables, and what they were before. */
SEC("xdp") int global_data(struct xdp_md *ctx)
{
    __u32 value = byte_at(ctx, 22);

    total += step;
    if (strict && value > limit)
        return XDP_DROP;
    if (value == limits.most || value == limits.drop[total & 3])
        return XDP_TX;
    return verdict_of(total + label[0]);
}

/* Its state is in a map that it wants pinned. */
SEC("xdp") int pinned_map(struct xdp_md *ctx)
{
    __u32 key = 0;
    __u64 *value = bpf_map_lookup_elem(&own_state, &key);

    if (!value)
        return XDP_ABORTED;
    *value += byte_at(ctx, 23) > 100 ? 2 : 1;
    return *value % 4 == 3 ? XDP_DROP : XDP_PASS;
}

/* It moves the packet's ends and rewrites what it finds. */
SEC("xdp") int rewrite(struct xdp_md *ctx)
{
    __u32 value = byte_at(ctx, 24);
    __u8 *data, *end;

    if (value & 1 && bpf_xdp_adjust_head(ctx, value & 2 ? -8 : 4))
        return XDP_ABORTED;
    if (value & 4)
        bpf_xdp_adjust_tail(ctx, value & 8 ? 16 : -4);
    data = (void *)(long)ctx->data;
    end = (void *)(long)ctx->data_end;
    if (data + 8 > end)
        return XDP_DROP;
    for (int i = 0; i < 8; i++)
        data[i] = value + i;
    return value % 7 == 0 ? XDP_TX : XDP_PASS;
}

/* It says that its context is something else. */
SEC("xdp/ingress") int untyped_context(void *context)
{
    return verdict_of(byte_at(context, 26));
}

/* It returns what is no verdict. */
SEC("xdp.frags") int odd_verdict(struct xdp_md *ctx)
{
    return byte_at(ctx, 27) % 8;
}

char _license[] SEC("license") = "Dual BSD/GPL";
