// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "namespaces.h"

#include <sched.h>
#include <unistd.h>

int ck_enter_netns(int fd)
{
    return setns(fd, CLONE_NEWNET);
}

int ck_thread_id(void)
{
    return gettid();
}
