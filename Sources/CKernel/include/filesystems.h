// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Whether a path lies in a bpffs (statfs(2), BPF_FS_MAGIC): 1, 0, or -1 with errno.
int ck_is_bpffs(const char *path);

/// Gives two files or folders each other's name, at once (RENAME_EXCHANGE; a bpffs since Linux 5.16). -1 with errno.
int ck_exchange(const char *first, const char *second);
