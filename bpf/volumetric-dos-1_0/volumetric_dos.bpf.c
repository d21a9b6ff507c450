// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../volumetric-dos/judge.h"

SLUICE_XDP_STAGE(volumetric_dos)
{
    struct dos_way way = {
        .ctx = ctx,
        .walk = {.packet.vlans = {DOS_NO_VLAN, DOS_NO_VLAN}, .frame = sluice_length(ctx), .best = DOS_NO_RULE},
    };
    struct dos_walk *walk = &way.walk;
    enum dos_reason reason = dos_filter(&way);

    if (reason == DOS_PASSED)
        reason = dos_try_limits(&walk->packet, walk->frame, 1);
    return dos_verdict(reason, walk->frame);
}

char _license[] SEC("license") = "Dual BSD/GPL";
