/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>

/*
 * What a stage says of a packet, at whatever hook. The numbers are XDP's own, and indices of the counters; each hook's
 * header makes of them what its hook understands, and says which of them it has.
 */
#define SLUICE_ABORTED  XDP_ABORTED
#define SLUICE_DROP     XDP_DROP
#define SLUICE_PASS     XDP_PASS
#define SLUICE_TX       XDP_TX
#define SLUICE_REDIRECT XDP_REDIRECT
/* Not a verdict: the next stage's turn. The number after the last verdict, so that it is an index too. */
#define SLUICE_NEXT (XDP_REDIRECT + 1)
