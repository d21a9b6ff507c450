// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "socketdiag.h"

#include "dump.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

static int take_socket(struct nlmsghdr *message, void *context)
{
    struct inet_diag_msg *info = NLMSG_DATA(message);
    if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return 0;
    struct ck_socket *socket = ck_append(context);
    if (!socket)
        return -1;
    socket->family = info->idiag_family;
    socket->state = info->idiag_state;
    socket->port = ntohs(info->id.idiag_sport);
    socket->inode = info->idiag_inode;
    socket->cookie = (uint64_t)info->id.idiag_cookie[1] << 32 | info->id.idiag_cookie[0];
    memcpy(socket->address, info->id.idiag_src, sizeof(socket->address));
    return 0;
}

int ck_list_sockets(int family, int protocol, uint16_t port, struct ck_socket **sockets)
{
    struct ck_list list = {.size = sizeof(**sockets)};
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } request = {
        .header = {.nlmsg_len = sizeof(request), .nlmsg_type = SOCK_DIAG_BY_FAMILY},
        .request =
            {
                .sdiag_family = family,
                .sdiag_protocol = protocol,
                // A UDP socket that is not connected is in the state that TCP calls closed.
                .idiag_states = 1 << (protocol == IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE),
                .id = {.idiag_sport = htons(port)},
            },
    };
    int result = ck_dump(NETLINK_SOCK_DIAG, &request.header, take_socket, &list);
    for (int i = 0; i < list.count; i++)
        ((struct ck_socket *)list.items)[i].protocol = protocol;
    return ck_finish(result, &list, (void **)sockets);
}
