// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "filesystems.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>

int ck_is_bpffs(const char *path)
{
    struct statfs info;

    if (statfs(path, &info) != 0)
        return -1;
    return info.f_type == BPF_FS_MAGIC;
}

int ck_exchange(const char *first, const char *second)
{
    return renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE);
}
