/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "choose.h"
#include "parse.h"

#define L4LB_QUIC_LONG 0x80
#define L4LB_QUIC_V1   0x00000001
#define L4LB_QUIC_V2   0x6b3343cf

/* The packet type that only a peer sends who knows the other's connection id: 2 in version 1, 3 in version 2. */
static __always_inline int l4lb_is_handshake(__u8 first, __u32 version)
{
    return (version == L4LB_QUIC_V1 && (first & 0x30) == 0x20) || (version == L4LB_QUIC_V2 && (first & 0x30) == 0x30);
}

/* The server of the pool that the connection id of a datagram names, see L4LB_QUIC_BYTES; 0 for none that is there. */
L4LB_STEP l4lb_quic_server(struct xdp_md *ctx, struct l4lb_packet *packet, __u32 table)
{
    struct l4lb_member member = {.table = table};
    __u8 *first, *id, *end = l4lb_end(ctx);
    struct l4lb_server *server;
    __u32 number, left;
    __u64 *live;

    if (!packet || packet->transport > L4LB_OFFSET_MASK - 64)
        return 0;
    first = l4lb_at(ctx, packet->transport + sizeof(struct udphdr));
    id = first + 1;
    left = packet->left - sizeof(struct udphdr);
    if (id + L4LB_QUIC_BYTES > end || left < 1 + L4LB_QUIC_BYTES)
        return 0;
    if (*first & L4LB_QUIC_LONG) {
        __u32 version = (__u32)first[1] << 24 | first[2] << 16 | first[3] << 8 | first[4];

        id = first + 6;
        if (!l4lb_is_handshake(*first, version) || id + L4LB_QUIC_BYTES > end || left < 6 + L4LB_QUIC_BYTES ||
            first[5] < L4LB_QUIC_BYTES)
            return 0;
    }
    number = id[1] << 8 | id[2];
    if (id[0] >> L4LB_QUIC_CONFIG_SHIFT != quic_config || !number)
        return 0;
    server = l4lb_server_of(number);
    live = bpf_map_lookup_elem(&servers_live, &number);
    member.server = number;
    if (!server || !live || !bpf_map_lookup_elem(&quic_members, &member) ||
        l4lb_state_of(l4lb_word_of(live, server)) >= L4LB_DOWN)
        return 0;
    return number;
}
