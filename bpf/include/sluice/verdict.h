/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>

/* Not a verdict of XDP: the next stage's turn. It is the number after the last verdict, so that it is an index too. */
#define SLUICE_NEXT (XDP_REDIRECT + 1)
