// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Somebody else's programs, one for each hook, which know nothing of Sluice: they count, and deny port 7. Where there
 * is no port they deny streams, and of a TCP connection they only say whether it shall have ECN.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define DENIED      7
#define SOCK_STREAM 1
/* Of UDP in IPv4 without options. */
#define PORT_OFFSET 22

struct seen {
    __u64 allowed, denied;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct seen);
} seen SEC(".maps");

/* Whether it is to be allowed; counted. */
static __always_inline int allowed(int denied)
{
    __u32 zero = 0;
    struct seen *count = bpf_map_lookup_elem(&seen, &zero);

    if (count)
        __sync_fetch_and_add(denied ? &count->denied : &count->allowed, 1);
    return !denied;
}

static __always_inline int denies(struct __sk_buff *skb)
{
    __be16 port = 0;

    bpf_skb_load_bytes_relative(skb, PORT_OFFSET, &port, sizeof(port), BPF_HDR_START_NET);
    return port == bpf_htons(DENIED);
}

SEC("xdp") int plain_xdp(struct xdp_md *ctx)
{
    __u8 *port = (__u8 *)(long)ctx->data + ETH_HLEN + PORT_OFFSET;

    if (port + 2 > (__u8 *)(long)ctx->data_end)
        return XDP_PASS;
    return allowed(port[0] == 0 && port[1] == DENIED) ? XDP_PASS : XDP_DROP;
}

SEC("tc") int plain_tc(struct __sk_buff *skb)
{
    return allowed(denies(skb)) ? TC_ACT_OK : TC_ACT_SHOT;
}

/* Counts only, and lets everything go on. */
SEC("tc") int plain_watcher(struct __sk_buff *skb)
{
    (void)skb;
    allowed(0);
    return TC_ACT_UNSPEC;
}

SEC("cgroup_skb/ingress") int plain_ingress(struct __sk_buff *skb)
{
    return allowed(denies(skb));
}

SEC("cgroup_skb/egress") int plain_egress(struct __sk_buff *skb)
{
    return allowed(denies(skb));
}

SEC("socket") int plain_socket(struct __sk_buff *skb)
{
    return allowed(denies(skb)) ? 0xffff : 0;
}

#define PLAIN_ADDRESS(name, section)                                                                                   \
    SEC(section) int plain_##name(struct bpf_sock_addr *ctx)                                                           \
    {                                                                                                                  \
        return allowed(ctx->user_port == bpf_htons(DENIED));                                                           \
    }

PLAIN_ADDRESS(connect4, "cgroup/connect4")
PLAIN_ADDRESS(connect6, "cgroup/connect6")
PLAIN_ADDRESS(sendmsg4, "cgroup/sendmsg4")
PLAIN_ADDRESS(sendmsg6, "cgroup/sendmsg6")
PLAIN_ADDRESS(bind4, "cgroup/bind4")
PLAIN_ADDRESS(bind6, "cgroup/bind6")

/* Whoever binds to a low port is spared CAP_NET_BIND_SERVICE for it. */
SEC("cgroup/bind4") int plain_low_ports(struct bpf_sock_addr *ctx)
{
    (void)ctx;
    return 3;
}

SEC("cgroup/sock_create") int plain_sock_create(struct bpf_sock *ctx)
{
    return allowed(ctx->type == SOCK_STREAM);
}

SEC("sockops") int plain_sockops(struct bpf_sock_ops *ctx)
{
    if (ctx->op != BPF_SOCK_OPS_NEEDS_ECN)
        return 1;
    ctx->reply = 1;
    return allowed(ctx->remote_port == bpf_htonl(DENIED));
}

char _license[] SEC("license") = "Dual BSD/GPL";
