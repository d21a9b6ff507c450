// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Whether a path lies in a bpffs (statfs(2), BPF_FS_MAGIC): 1, 0, or -1 with errno.
int ck_is_bpffs(const char *path);
