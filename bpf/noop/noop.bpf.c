// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/xdp_stage.h>

#include "noop.h"
