// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <net/if.h>
#include <stdint.h>

// What rtnetlink(7) knows of interfaces and of the programs on them, in the calling thread's network namespace. All
// return -1 with errno on failure.

/// An interface, with the ids of its XDP programs by where they run; 0 for none.
struct ck_interface {
    int index;
    char name[IF_NAMESIZE];
    uint32_t native, generic, offloaded;
};

/// Lists all interfaces (RTM_GETLINK). Returns how many; the caller frees `*interfaces`.
int ck_list_interfaces(struct ck_interface **interfaces);

/// A BPF classifier on a clsact or ingress qdisc. The id, the name and the tag are the program's. `direct` is 1 where
/// it is asked for packets of all protocols, and what it returns is what becomes of them.
struct ck_filter {
    int interface;
    int egress;
    int direct;
    uint32_t priority, handle, id;
    uint8_t tag[8];
    char name[64];
};

/// Lists the BPF classifiers of all interfaces (RTM_GETQDISC, RTM_GETTFILTER). Returns how many; the caller frees
/// `*filters`.
int ck_list_filters(struct ck_filter **filters);

/// How many messages it takes to list the classifiers of an interface's clsact qdisc, of whatever kind, BPF or not: 0
/// when there is none.
int ck_count_filters(int interface);

/// A qdisc of an interface. The parent is TC_H_ROOT for the one at the root.
struct ck_qdisc {
    int interface;
    uint32_t handle, parent;
    char kind[16];
};

/// Lists the qdiscs of all interfaces (RTM_GETQDISC). Returns how many; the caller frees `*qdiscs`.
int ck_list_qdiscs(struct ck_qdisc **qdiscs);

/// A non-blocking socket that becomes readable when an interface comes, goes or changes (RTNLGRP_LINK).
int ck_watch_interfaces(void);

/// Takes all that has come in on such a socket. Returns whether anything had, lost messages included.
int ck_drain_events(int fd);
