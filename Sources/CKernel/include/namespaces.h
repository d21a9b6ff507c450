// SPDX-License-Identifier: Apache-2.0
#pragma once

/// setns(fd, CLONE_NEWNET): moves the calling thread, and only it, into a network namespace.
int ck_enter_netns(int fd);

/// gettid(2).
int ck_thread_id(void);
