// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* From how many IPv4 source addresses, counted up from the packet's own; 0 leaves the packet as it is. Set before load.
 */
const volatile __u32 sources = 0;
/* The first of them. Set before load. */
const volatile __u32 first_source = 0;

/* Every packet that was sent, also when the run that sent it was cut short. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} sent SEC(".maps");

/* RFC 1624: a checksum after one 32-bit word of what it covers has changed. */
static __always_inline __u16 checksum_after(__u16 checksum, __u32 before, __u32 after)
{
    __u32 sum = (__u16)~checksum;

    sum += (__u16)~before + (__u16)(~before >> 16) + (__u16)after + (after >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~((sum & 0xffff) + (sum >> 16));
}

static __always_inline void set_source(struct xdp_md *ctx, __u64 number)
{
    void *end = (void *)(long)ctx->data_end;
    struct iphdr *ip = (void *)(long)ctx->data + sizeof(struct ethhdr);
    struct udphdr *udp = (void *)(ip + 1);

    if ((void *)(ip + 1) > end)
        return;
    __u32 before = ip->saddr;
    __u32 after = bpf_htonl(first_source + (__u32)(number % sources));

    ip->check = checksum_after(ip->check, before, after);
    ip->saddr = after;
    if (ip->ihl == 5 && ip->protocol == IPPROTO_UDP && (void *)(udp + 1) <= end && udp->check)
        udp->check = checksum_after(udp->check, before, after);
}

/* Run on packets that exist nowhere yet: sends each out of the interface it pretends to have come in by. */
SEC("xdp") int live_send(struct xdp_md *ctx)
{
    __u32 zero = 0;
    __u64 *count = bpf_map_lookup_elem(&sent, &zero);

    if (!count)
        return XDP_ABORTED;
    if (sources)
        set_source(ctx, *count);
    (*count)++;
    return XDP_TX;
}

/* Attached to that interface: a veth sends XDP frames only when it has a native program itself. */
SEC("xdp") int live_receive(struct xdp_md *ctx)
{
    (void)ctx;
    return XDP_PASS;
}

/* Attached to their peer: the least that can be done to them. */
SEC("xdp") int live_drop(struct xdp_md *ctx)
{
    (void)ctx;
    return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
