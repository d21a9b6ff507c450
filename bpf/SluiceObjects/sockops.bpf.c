// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the manager itself loads at a hook for the TCP connections of a cgroup. */
#include <sluice/sockops_stage.h>

#include "flow_sockops.h"

#include "root.h"
#include "splitter.h"
#include "adopt.h"

char _license[] SEC("license") = "Dual BSD/GPL";
