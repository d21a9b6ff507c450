// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/types.h>

struct marks {
    __u64 consistent;
    __u64 mixed;
};

#include "fixture.h"
