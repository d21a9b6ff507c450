// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

/// A socket as sock_diag(7) tells it. The address is in the first four bytes for IPv4; the port is the number that it
/// means.
struct ck_socket {
    uint8_t family, protocol, state;
    uint16_t port;
    uint8_t address[16];
    uint32_t inode;
    uint64_t cookie;
};

/// Lists the sockets of a family and a protocol that are bound to a port, in the calling thread's network namespace. Of
/// TCP those that listen, of UDP those that are not connected. Returns how many; the caller frees `*sockets`. -1 with
/// errno on failure: ENOENT when the kernel lacks inet_diag.
int ck_list_sockets(int family, int protocol, uint16_t port, struct ck_socket **sockets);
