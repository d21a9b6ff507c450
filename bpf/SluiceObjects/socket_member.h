/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#define SLUICE_AF_INET6 10

/* What the manager says of a socket when it joins. */
struct sluice_member {
    __u64 cookie;
    /* When, nanoseconds since 1970. */
    __u64 joined;
    /* The id of the slot that its filter goes through. */
    __u32 entry;
    /* Whether a standing rule brought it. */
    __u32 by_rule;
};

/* The same, and what the socket is when it is looked at. */
struct sluice_member_seen {
    struct sluice_member member;
    __u64 cookie;
    /* 0 when no process holds the socket any more. */
    __u64 inode;
    __u32 netns;
    __u16 family, protocol, port;
    __u8 state, unused[5];
    __u8 address[16];
};
