/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <bpf/bpf_endian.h>

#include "types.h"

static __always_inline struct l4lb_address l4lb_mapped(__be32 address)
{
    return (struct l4lb_address){.low = (__u64)address << 32 | (__u64)bpf_htonl(0xffff)};
}

static __always_inline int l4lb_equal(const struct l4lb_address *one, const struct l4lb_address *other)
{
    return !((one->high ^ other->high) | (one->low ^ other->low));
}
