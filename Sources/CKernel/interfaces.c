// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "interfaces.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int ck_interface_mtu(const char *name)
{
    struct ifreq request = {0};
    int result;
    int saved;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    result = ioctl(fd, SIOCGIFMTU, &request);
    saved = errno;
    close(fd);
    errno = saved;
    return result < 0 ? -1 : request.ifr_mtu;
}
