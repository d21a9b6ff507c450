// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/in.h>
#include <linux/in6.h>

#include <sluice/xdp_stage.h>

/* A stage with maps of every shape, for the commands that list, dump and update them by type. */

enum mood {
    MOOD_SAD = -1,
    MOOD_CALM,
    MOOD_GLAD = 7,
};

enum size {
    SIZE_SMALL = 1,
    SIZE_HUGE = 1ULL << 40,
};

struct flow {
    __be32 source;
    __be16 port;
    __u8 kind;
};

struct record {
    struct in_addr gateway;
    struct in6_addr server;
    __u8 addr[4];
    __u8 addr6[16];
    char name[8];
    _Bool on;
    enum mood mood;
    enum size size;
    __u8 low : 3, : 2, high : 3;
    __s32 balance : 5;
    __u64 wide : 33;
    __s8 tiny;
    __s64 total;
    void *next;
    struct {
        __u16 inner;
    };
    union {
        __u32 word;
        __u8 quad[4];
    } both;
    union {
        __u16 left;
        __u16 right;
    };
    __u16 grid[2][2];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct flow);
    __type(value, struct record);
} records SEC(".maps");

/* Packets seen, each CPU's own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u64);
} seen SEC(".maps");

/* Declared by sizes alone. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __uint(key_size, 4);
    __uint(value_size, 2);
} raw SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, __u64);
} remembered SEC(".maps") SLUICE_STATE;

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} ring SEC(".maps");

const volatile struct record preset = {};
const volatile char label[8] = "unset";
const volatile __u16 ports[3] = {};
const volatile __s8 offset = 0;

SLUICE_XDP_STAGE(tables)
{
    struct flow flow = {.source = preset.both.word, .port = ports[0], .kind = label[0]};
    __u32 zero = offset ? 0 : 0;
    __u64 *count = bpf_map_lookup_elem(&seen, &zero);

    (void)ctx;
    if (count)
        ++*count;
    if (bpf_map_lookup_elem(&raw, &zero) || bpf_map_lookup_elem(&remembered, &zero))
        return XDP_DROP;
    bpf_ringbuf_output(&ring, &zero, 0, 0);
    return bpf_map_lookup_elem(&records, &flow) ? XDP_DROP : SLUICE_NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
