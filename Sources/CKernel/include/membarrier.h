// SPDX-License-Identifier: Apache-2.0
#pragma once

/// membarrier(MEMBARRIER_CMD_GLOBAL): returns once every packet that was in a BPF program when it was called has left
/// it. Returns 0, or -1 with errno (EINVAL on kernels booted with nohz_full).
int ck_membarrier_global(void);
