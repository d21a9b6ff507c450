/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/types.h>

struct marks {
    __u64 consistent;
    __u64 mixed;
};
