// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the manager itself loads at a group of sockets. */
#include <sluice/socket_filter_stage.h>

#include "flow_skb.h"

#include "root.h"
#include "splitter.h"
#include "adopt.h"

char _license[] SEC("license") = "Dual BSD/GPL";
