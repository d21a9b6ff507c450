/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * Two stages that find out whether one walk saw two generations: `stamp` leaves its generation where the stage behind
 * it finds it, and `check`, behind it in the chain, compares, and leaves all as it was before. Each object lays out
 * `struct marks`, whose members are `consistent` and `mixed`, and includes its hook's header, before it includes this;
 * then it says how that is done at its hook, and includes walk.h.
 */

/* The generation that this program was loaded for. Set before load. */
const volatile __u32 generation = 0;
/* What `check` gives everything. Set before load. */
const volatile __u32 verdict = SLUICE_NEXT;

/* What `check` saw, over all generations. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct marks);
} marks SEC(".maps") SLUICE_STATE;
