// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

// Descriptors that come from elsewhere. All return -1 with errno on failure.

/// The most descriptors that a message may carry: the kernel's own limit (SCM_MAX_FD).
enum { ck_most_descriptors = 253 };

/// Sends bytes and descriptors as one message on a Unix socket (SCM_RIGHTS). 0 when it is sent.
int ck_send_descriptors(int socket, const void *bytes, size_t length, const int *descriptors, int count);

/// Receives one message and the descriptors with it, all of them close-on-exec. Returns its length, 0 at the end. A
/// message that is longer than `room`, or with which descriptors were lost, is EMSGSIZE; none is kept then.
ssize_t ck_receive_descriptors(int socket, void *bytes, size_t room, int *descriptors, int *count);

/// accept4(2): a connection that does not block and is closed on exec.
int ck_accept(int listening);

/// pidfd_open(2), Linux 5.3.
int ck_pidfd_open(pid_t pid);

/// pidfd_getfd(2), Linux 5.6: another process's descriptor as one's own. Takes the right to ptrace it.
int ck_pidfd_take(int pidfd, int descriptor);
