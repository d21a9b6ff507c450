// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/xdp_stage.h>

#include "marks.h"

#include "fixture.h"
#include "stamp_xdp.h"
#include "walk.h"
