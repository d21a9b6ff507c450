// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Where processes connect and send to, and what they bind: a program for each family, as the context differs. */
#include <sluice/cgroup_sock_addr_stage.h>

#include "../cgroup-policy/address.h"

/* Of connect(2) and sendmsg(2): the address that was asked for is judged, and then the one in its stead used. */
#define POLICY_DESTINATION(name, family)                                                                               \
    SLUICE_CGROUP_SOCK_ADDR_STAGE(name)                                                                                \
    {                                                                                                                  \
        struct policy_key key = {.length = 128};                                                                       \
        struct policy_backend *backend;                                                                                \
                                                                                                                       \
        policy_read_##family(ctx, &key);                                                                               \
        policy_destination(&key);                                                                                      \
        if (!policy_allows(ctx, &key))                                                                                 \
            return SLUICE_DROP;                                                                                        \
        backend = policy_backend_of(ctx, &key);                                                                        \
        if (backend)                                                                                                   \
            policy_write_##family(ctx, backend);                                                                       \
        return SLUICE_NEXT;                                                                                            \
    }

POLICY_DESTINATION(policy_connect4, ipv4)
POLICY_DESTINATION(policy_connect6, ipv6)

#define POLICY_SOURCE(name, family)                                                                                    \
    SLUICE_CGROUP_SOCK_ADDR_STAGE(name)                                                                                \
    {                                                                                                                  \
        struct policy_key key = {.length = 128};                                                                       \
                                                                                                                       \
        policy_read_##family(ctx, &key);                                                                               \
        return policy_allows(ctx, &key) ? SLUICE_NEXT : SLUICE_DROP;                                                   \
    }

POLICY_SOURCE(policy_bind4, ipv4)
POLICY_SOURCE(policy_bind6, ipv6)

char _license[] SEC("license") = "Dual BSD/GPL";
