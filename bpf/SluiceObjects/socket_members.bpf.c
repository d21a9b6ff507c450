// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which sockets are in a group. What is said of one lives as long as the socket does: the kernel forgets it with the
 * socket, and what a listening socket accepts inherits it, as it inherits the filter.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "socket_member.h"

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
    __type(key, int);
    __type(value, struct sluice_member);
} sluice_members SEC(".maps");

/* Of the kernel's own structures what is read here; where it lies is found out at load. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;

struct bpf_iter_meta {
    struct seq_file *seq;
};

struct in6_addr {
    union {
        __u8 u6_addr8[16];
    } in6_u;
};

struct ns_common {
    unsigned int inum;
};

struct net {
    struct ns_common ns;
};

typedef struct {
    struct net *net;
} possible_net_t;

typedef struct {
    __s64 counter;
} atomic64_t;

struct sock_common {
    __be32 skc_daddr;
    __be32 skc_rcv_saddr;
    __be16 skc_dport;
    __u16 skc_num;
    unsigned short skc_family;
    volatile unsigned char skc_state;
    possible_net_t skc_net;
    struct in6_addr skc_v6_daddr;
    struct in6_addr skc_v6_rcv_saddr;
    atomic64_t skc_cookie;
};

struct inode {
    unsigned long i_ino;
};

struct socket;

struct socket_alloc {
    struct inode vfs_inode;
};

struct sock {
    struct sock_common __sk_common;
    struct socket *sk_socket;
    __u16 sk_protocol;
};

struct bpf_iter__bpf_sk_storage_map {
    union {
        struct bpf_iter_meta *meta;
    };
    union {
        struct sock *sk;
    };
    union {
        void *value;
    };
};

#pragma clang attribute pop

/* One struct sluice_member_seen a socket, as it is now. */
SEC("iter/bpf_sk_storage_map") int sluice_list(struct bpf_iter__bpf_sk_storage_map *ctx)
{
    struct sock *sk = ctx->sk;
    struct sluice_member *member = ctx->value;
    struct sluice_member_seen seen = {};

    if (!sk || !member)
        return 0;
    seen.member = *member;
    seen.cookie = sk->__sk_common.skc_cookie.counter;
    seen.family = sk->__sk_common.skc_family;
    seen.state = sk->__sk_common.skc_state;
    seen.protocol = sk->sk_protocol;
    seen.port = sk->__sk_common.skc_num;
    seen.netns = sk->__sk_common.skc_net.net->ns.inum;
    if (seen.family == SLUICE_AF_INET6)
        BPF_CORE_READ_INTO(&seen.address, sk, __sk_common.skc_v6_rcv_saddr);
    else
        *(__u32 *)seen.address = sk->__sk_common.skc_rcv_saddr;
    struct socket_alloc *socket = (void *)sk->sk_socket;
    if (socket)
        seen.inode = BPF_CORE_READ(socket, vfs_inode.i_ino);
    bpf_seq_write(ctx->meta->seq, &seen, sizeof(seen));
    return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
