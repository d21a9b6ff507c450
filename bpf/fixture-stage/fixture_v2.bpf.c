// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/types.h>

/* As large as that of fixture.bpf.c, but laid out otherwise: only its BTF tells them apart. */
struct marks {
    __u64 mixed;
    __u64 consistent;
};

#include "fixture.h"
