// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The same for a program that stays a function of its own, and may need all of the stack: this stage leaves it to it.
 */
#define SLUICE_ADD static __noinline

#include "xdp_adopt.bpf.c"
