// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the manager itself loads at a hook for the addresses that a cgroup uses. */
#include <sluice/cgroup_sock_addr_stage.h>

#include "root.h"
#include "adopt.h"

char _license[] SEC("license") = "Dual BSD/GPL";
