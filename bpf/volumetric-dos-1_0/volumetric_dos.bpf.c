// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../volumetric-dos/judge.h"

SLUICE_XDP_STAGE(volumetric_dos)
{
    struct dos_walk walk = {
        .packet.vlans = {DOS_NO_VLAN, DOS_NO_VLAN}, .ctx = ctx, .frame = sluice_length(ctx), .best = DOS_NO_RULE};
    enum dos_reason reason = dos_filter(ctx, &walk);

    if (reason == DOS_PASSED)
        reason = dos_try_limits(&walk.packet, walk.frame, 1);
    return dos_verdict(reason, walk.frame);
}

char _license[] SEC("license") = "Dual BSD/GPL";
