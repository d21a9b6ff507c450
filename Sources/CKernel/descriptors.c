// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "descriptors.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Room for one control message with as many descriptors as there may be.
union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(ck_most_descriptors * sizeof(int))];
};

int ck_send_descriptors(int socket, const void *bytes, size_t length, const int *descriptors, int count)
{
    union control control = {0};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (count < 0 || count > ck_most_descriptors) {
        errno = E2BIG;
        return -1;
    }
    if (count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

ssize_t ck_receive_descriptors(int socket, void *bytes, size_t room, int *descriptors, int *count)
{
    union control control = {0};
    struct iovec part = {.iov_base = bytes, .iov_len = room};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

    *count = 0;
    ssize_t length;
    do
        length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        int number = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        // The kernel joins all into one; were there more, the room for descriptors would still be the control's.
        memcpy(descriptors + *count, CMSG_DATA(header), number * sizeof(int));
        *count += number;
    }
    if (!(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return length;
    for (int i = 0; i < *count; i++)
        close(descriptors[i]);
    *count = 0;
    errno = EMSGSIZE;
    return -1;
}

int ck_accept(int listening)
{
    return accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int ck_pidfd_open(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

int ck_pidfd_take(int pidfd, int descriptor)
{
    return (int)syscall(SYS_pidfd_getfd, pidfd, descriptor, 0);
}
