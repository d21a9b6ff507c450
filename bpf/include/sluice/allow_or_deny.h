/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <sluice/verdict.h>

/*
 * What the hooks of a cgroup have in common: a program allows (1) or denies (0). All programs of all cgroups above are
 * asked, and one that denies decides. They may run for a process, which can be interrupted.
 */
#define SLUICE_VERDICTS      (1 << SLUICE_DROP | 1 << SLUICE_PASS)
#define SLUICE_GO_ON         1
#define SLUICE_REFUSED       0
#define SLUICE_INTERRUPTIBLE 1
#define SLUICE_ALLOWS_OR_DENIES

static __always_inline __u32 sluice_returns(__u32 verdict)
{
    return verdict == SLUICE_PASS;
}

/* Bit 1 has a meaning of its own at some hooks, which no verdict has. */
static __always_inline __u32 sluice_verdict(__u32 returned)
{
    return returned & 1 ? SLUICE_PASS : SLUICE_DROP;
}

static __always_inline __u32 sluice_clamp(__u32 returned)
{
    return returned & 1;
}
