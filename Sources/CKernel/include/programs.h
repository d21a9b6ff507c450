// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

/// A program attached by tcx, and the link that holds it; 0 for none.
struct ck_tcx_program {
    uint32_t id, link;
};

/// The tcx programs of an interface in the calling thread's network namespace (BPF_PROG_QUERY; Linux 6.6, needs
/// CAP_NET_ADMIN). Returns how many there are, of which at most `room` are filled in; -1 with errno, EINVAL on older
/// kernels.
int ck_list_tcx(int interface, int egress, struct ck_tcx_program *programs, int room);
