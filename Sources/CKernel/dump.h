// SPDX-License-Identifier: Apache-2.0
#pragma once

// What all that ask the kernel for a list over netlink(7) have in common. Not part of the module.

#include <stddef.h>
#include <linux/netlink.h>

/// A growing array of equal items.
struct ck_list {
    void *items;
    size_t size;
    int count, room;
};

/// Adds an item, all zero; NULL when there is no memory.
void *ck_append(struct ck_list *list);

/// Asks for a dump, and hands each message of the answer to `each`, with the list; it returns 0 to go on. A dump that
/// the kernel says was disturbed is asked for again. -1 with errno.
int ck_dump(int protocol, struct nlmsghdr *request, int (*each)(struct nlmsghdr *, void *), struct ck_list *list);

/// Hands the items over and says how many; frees them when `result` is a failure.
int ck_finish(int result, struct ck_list *list, void **items);
