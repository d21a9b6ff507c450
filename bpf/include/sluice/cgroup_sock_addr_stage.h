/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * A stage at `cgroup-connect4:PATH`, `cgroup-connect6:PATH`, `cgroup-sendmsg4:PATH`, `cgroup-sendmsg6:PATH`,
 * `cgroup-bind4:PATH` or `cgroup-bind6:PATH`, begun by SLUICE_CGROUP_SOCK_ADDR_STAGE(name): a process of the cgroup is
 * about to connect, to send without a connection, or to bind. `ctx` is a struct bpf_sock_addr; a stage may write
 * another address and port into it. SLUICE_DROP fails the call with EPERM.
 */

#include <linux/bpf.h>

#include <sluice/allow_or_deny.h>

#define SLUICE_CONTEXT struct bpf_sock_addr
/* The manager says which of them it is. */
#define SLUICE_SECTION "cgroup/connect4"

static __always_inline __u64 sluice_length(struct bpf_sock_addr *ctx)
{
    (void)ctx;
    return 0;
}

#include <sluice/stage.h>

#define SLUICE_CGROUP_SOCK_ADDR_STAGE(name) SLUICE_STAGE(name)
