/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * A stage at `cgroup-sock-create:PATH`, begun by SLUICE_CGROUP_SOCK_STAGE(name): a process of the cgroup makes a
 * socket. `ctx` is a struct bpf_sock. SLUICE_DROP fails socket(2) with EPERM.
 */

#include <linux/bpf.h>

#include <sluice/allow_or_deny.h>

#define SLUICE_CONTEXT struct bpf_sock
#define SLUICE_SECTION "cgroup/sock_create"

static __always_inline __u64 sluice_length(struct bpf_sock *ctx)
{
    (void)ctx;
    return 0;
}

#include <sluice/stage.h>

#define SLUICE_CGROUP_SOCK_STAGE(name) SLUICE_STAGE(name)
