// SPDX-License-Identifier: Apache-2.0
#include "dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void *ck_append(struct ck_list *list)
{
    if (list->count == list->room) {
        int room = list->room ? list->room * 2 : 16;
        void *items = realloc(list->items, room * list->size);
        if (!items)
            return NULL;
        list->items = items;
        list->room = room;
    }
    return memset((char *)list->items + list->size * list->count++, 0, list->size);
}

/// One request for a dump and its whole answer, message by message. -1 with errno; `each` returns 0 to go on.
static int dump_once(int fd, struct nlmsghdr *request, int (*each)(struct nlmsghdr *, void *), void *context)
{
    // The kernel fills as much as is given, up to 32 KiB; a message is never split.
    static const size_t room = 1 << 16;
    int result = 0, interrupted = 0;
    char *buffer = malloc(room);

    if (!buffer)
        return -1;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    if (send(fd, request, request->nlmsg_len, 0) < 0)
        result = -1;
    while (result == 0) {
        ssize_t length = recv(fd, buffer, room, 0);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0) {
            result = -1;
            break;
        }
        for (struct nlmsghdr *message = (void *)buffer; result == 0 && NLMSG_OK(message, length);
             message = NLMSG_NEXT(message, length)) {
            interrupted |= message->nlmsg_flags & NLM_F_DUMP_INTR;
            if (message->nlmsg_type == NLMSG_DONE) {
                result = 1;
            } else if (message->nlmsg_type == NLMSG_ERROR) {
                struct nlmsgerr *error = NLMSG_DATA(message);
                errno = -error->error;
                result = error->error ? -1 : 1;
            } else if (each(message, context) < 0) {
                result = -1;
            }
        }
    }
    int saved = errno;
    free(buffer);
    errno = result == 1 && interrupted ? EAGAIN : saved;
    return result == 1 && !interrupted ? 0 : -1;
}

int ck_dump(int protocol, struct nlmsghdr *request, int (*each)(struct nlmsghdr *, void *), struct ck_list *list)
{
    int before = list->count;
    int result = -1;

    for (int tries = 0; tries < 10 && result < 0; tries++) {
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
        if (fd < 0)
            return -1;
        list->count = before;
        result = dump_once(fd, request, each, list);
        int saved = errno;
        close(fd);
        errno = saved;
        if (result < 0 && errno != EAGAIN)
            break;
    }
    return result;
}

int ck_finish(int result, struct ck_list *list, void **items)
{
    if (result < 0) {
        int saved = errno;
        free(list->items);
        errno = saved;
        return -1;
    }
    *items = list->items;
    return list->count;
}
