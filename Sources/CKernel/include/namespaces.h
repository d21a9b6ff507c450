// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Opens a network namespace's file, and no other: -1 with EINVAL for whatever else is there.
int ck_open_netns(const char *path);

/// setns(fd, CLONE_NEWNET): moves the calling thread, and only it, into a network namespace.
int ck_enter_netns(int fd);

/// gettid(2).
int ck_thread_id(void);
