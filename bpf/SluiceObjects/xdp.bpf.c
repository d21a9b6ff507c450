// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the manager itself loads at an XDP hook. */
#include <sluice/xdp_stage.h>

#include "flow_xdp.h"

#include "root.h"
#include "splitter.h"
#include "adopt.h"

char _license[] SEC("license") = "Dual BSD/GPL";
