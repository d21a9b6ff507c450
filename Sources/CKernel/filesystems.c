// SPDX-License-Identifier: Apache-2.0
#include "filesystems.h"

#include <linux/magic.h>
#include <sys/vfs.h>

int ck_is_bpffs(const char *path)
{
    struct statfs info;

    if (statfs(path, &info) != 0)
        return -1;
    return info.f_type == BPF_FS_MAGIC;
}
