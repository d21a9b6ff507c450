// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "netlink.h"

#include "dump.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/// The attribute of a type among `length` bytes of them; NULL when it is not there.
static struct rtattr *find(struct rtattr *attribute, int length, int type)
{
    for (; RTA_OK(attribute, length); attribute = RTA_NEXT(attribute, length)) {
        if ((attribute->rta_type & NLA_TYPE_MASK) == type)
            return attribute;
    }
    return NULL;
}

static struct rtattr *find_in(struct rtattr *nest, int type)
{
    return nest ? find(RTA_DATA(nest), RTA_PAYLOAD(nest), type) : NULL;
}

static uint32_t number(struct rtattr *attribute)
{
    uint32_t value = 0;
    if (attribute && RTA_PAYLOAD(attribute) >= sizeof(value))
        memcpy(&value, RTA_DATA(attribute), sizeof(value));
    return value;
}

static void text(char *target, size_t room, struct rtattr *attribute)
{
    size_t length = attribute ? strnlen(RTA_DATA(attribute), RTA_PAYLOAD(attribute)) : 0;
    if (length >= room)
        length = room - 1;
    if (length)
        memcpy(target, RTA_DATA(attribute), length);
}

static int take_interface(struct nlmsghdr *message, void *context)
{
    struct ifinfomsg *info = NLMSG_DATA(message);
    if (message->nlmsg_type != RTM_NEWLINK)
        return 0;
    struct ck_interface *interface = ck_append(context);
    if (!interface)
        return -1;
    interface->index = info->ifi_index;
    text(interface->name, sizeof(interface->name), find(IFLA_RTA(info), IFLA_PAYLOAD(message), IFLA_IFNAME));
    struct rtattr *xdp = find(IFLA_RTA(info), IFLA_PAYLOAD(message), IFLA_XDP);
    interface->native = number(find_in(xdp, IFLA_XDP_DRV_PROG_ID));
    interface->generic = number(find_in(xdp, IFLA_XDP_SKB_PROG_ID));
    interface->offloaded = number(find_in(xdp, IFLA_XDP_HW_PROG_ID));
    return 0;
}

int ck_list_interfaces(struct ck_interface **interfaces)
{
    struct ck_list list = {.size = sizeof(**interfaces)};
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
        struct rtattr attribute;
        uint32_t mask;
    } request = {
        .header = {.nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETLINK},
        .attribute = {.rta_len = RTA_LENGTH(sizeof(uint32_t)), .rta_type = IFLA_EXT_MASK},
        .mask = RTEXT_FILTER_SKIP_STATS,
    };
    int result = ck_dump(NETLINK_ROUTE, &request.header, take_interface, &list);
    return ck_finish(result, &list, (void **)interfaces);
}

/// An interface that has a place for classifiers, and whether for both directions.
struct place {
    int interface;
    int both;
};

static int take_place(struct nlmsghdr *message, void *context)
{
    struct tcmsg *info = NLMSG_DATA(message);
    char kind[16] = "";
    if (message->nlmsg_type != RTM_NEWQDISC)
        return 0;
    text(kind, sizeof(kind), find(TCA_RTA(info), TCA_PAYLOAD(message), TCA_KIND));
    if (strcmp(kind, "clsact") != 0 && strcmp(kind, "ingress") != 0)
        return 0;
    struct place *place = ck_append(context);
    if (!place)
        return -1;
    place->interface = info->tcm_ifindex;
    place->both = kind[0] == 'c';
    return 0;
}

static int take_filter(struct nlmsghdr *message, void *context)
{
    struct tcmsg *info = NLMSG_DATA(message);
    char kind[16] = "";
    if (message->nlmsg_type != RTM_NEWTFILTER)
        return 0;
    text(kind, sizeof(kind), find(TCA_RTA(info), TCA_PAYLOAD(message), TCA_KIND));
    struct rtattr *options = find(TCA_RTA(info), TCA_PAYLOAD(message), TCA_OPTIONS);
    uint32_t id = number(find_in(options, TCA_BPF_ID));
    // Each priority begins with a message that speaks of no program.
    if (strcmp(kind, "bpf") != 0 || id == 0)
        return 0;
    struct ck_filter *filter = ck_append(context);
    if (!filter)
        return -1;
    filter->interface = info->tcm_ifindex;
    filter->priority = TC_H_MAJ(info->tcm_info) >> 16;
    filter->handle = info->tcm_handle;
    filter->direct = TC_H_MIN(info->tcm_info) == htons(ETH_P_ALL) &&
                     number(find(TCA_RTA(info), TCA_PAYLOAD(message), TCA_CHAIN)) == 0 &&
                     number(find_in(options, TCA_BPF_FLAGS)) & TCA_BPF_FLAG_ACT_DIRECT &&
                     !find_in(options, TCA_BPF_ACT);
    filter->id = id;
    text(filter->name, sizeof(filter->name), find_in(options, TCA_BPF_NAME));
    struct rtattr *tag = find_in(options, TCA_BPF_TAG);
    if (tag && RTA_PAYLOAD(tag) == sizeof(filter->tag))
        memcpy(filter->tag, RTA_DATA(tag), sizeof(filter->tag));
    return 0;
}

static int dump_tc(int type, int interface, uint32_t parent, int (*each)(struct nlmsghdr *, void *),
                   struct ck_list *list)
{
    struct {
        struct nlmsghdr header;
        struct tcmsg info;
    } request = {
        .header = {.nlmsg_len = sizeof(request), .nlmsg_type = type},
        .info = {.tcm_ifindex = interface, .tcm_parent = parent},
    };
    return ck_dump(NETLINK_ROUTE, &request.header, each, list);
}

int ck_list_filters(struct ck_filter **filters)
{
    struct ck_list places = {.size = sizeof(struct place)};
    struct ck_list list = {.size = sizeof(**filters)};
    int result = dump_tc(RTM_GETQDISC, 0, 0, take_place, &places);

    for (int i = 0; result == 0 && i < places.count; i++) {
        struct place *place = (struct place *)places.items + i;
        // An ingress qdisc has one list only, and would give it for egress, too.
        for (int egress = 0; result == 0 && egress <= place->both; egress++) {
            uint32_t parent = TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
            int before = list.count;
            result = dump_tc(RTM_GETTFILTER, place->interface, parent, take_filter, &list);
            for (int k = before; k < list.count; k++)
                ((struct ck_filter *)list.items)[k].egress = egress;
        }
        // The interface may have gone meanwhile.
        if (result < 0 && (errno == ENODEV || errno == EINVAL || errno == ENOENT))
            result = 0;
    }
    int saved = errno;
    free(places.items);
    errno = saved;
    return ck_finish(result, &list, (void **)filters);
}

static int take_any_filter(struct nlmsghdr *message, void *context)
{
    return message->nlmsg_type != RTM_NEWTFILTER || ck_append(context) ? 0 : -1;
}

int ck_count_filters(int interface)
{
    struct ck_list list = {.size = 1};
    int result = 0;

    for (int egress = 0; result == 0 && egress <= 1; egress++) {
        uint32_t parent = TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
        result = dump_tc(RTM_GETTFILTER, interface, parent, take_any_filter, &list);
    }
    int saved = errno;
    free(list.items);
    errno = saved;
    return result < 0 ? -1 : list.count;
}

static int take_qdisc(struct nlmsghdr *message, void *context)
{
    struct tcmsg *info = NLMSG_DATA(message);
    if (message->nlmsg_type != RTM_NEWQDISC)
        return 0;
    struct ck_qdisc *qdisc = ck_append(context);
    if (!qdisc)
        return -1;
    qdisc->interface = info->tcm_ifindex;
    qdisc->handle = info->tcm_handle;
    qdisc->parent = info->tcm_parent;
    text(qdisc->kind, sizeof(qdisc->kind), find(TCA_RTA(info), TCA_PAYLOAD(message), TCA_KIND));
    return 0;
}

int ck_list_qdiscs(struct ck_qdisc **qdiscs)
{
    struct ck_list list = {.size = sizeof(**qdiscs)};
    int result = dump_tc(RTM_GETQDISC, 0, 0, take_qdisc, &list);
    return ck_finish(result, &list, (void **)qdiscs);
}

int ck_watch_interfaces(void)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

int ck_drain_events(int fd)
{
    char buffer[1];
    int any = 0;

    // What the messages say is old when it is read: who is told that something happened looks for himself.
    for (;;) {
        if (recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS)
            any = 1;
        else if (errno != EINTR)
            return any;
    }
}
