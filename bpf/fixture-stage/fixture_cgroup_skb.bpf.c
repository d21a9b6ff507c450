// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sluice/cgroup_skb_stage.h>

#include "marks.h"

#include "fixture.h"
#include "stamp_skb.h"
#include "walk.h"
