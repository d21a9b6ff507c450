// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the manager itself loads at a hook for the sockets that a cgroup makes. */
#include <sluice/cgroup_sock_stage.h>

#include "root.h"
#include "adopt.h"

char _license[] SEC("license") = "Dual BSD/GPL";
