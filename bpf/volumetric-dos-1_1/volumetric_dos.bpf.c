// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../volumetric-dos/judge.h"
#include "../volumetric-dos/limit.h"

/* The limit of each source prefix, as limit_interval and limit_tolerance. Set before load. */
const volatile __u64 prefix_limit_interval = 0;
const volatile __u64 prefix_limit_tolerance = 0;
/* The bits of an address that are its prefix. Set before load. */
const volatile struct dos_address prefix_mask_v4 = {};
const volatile struct dos_address prefix_mask_v6 = {};

/* The bucket of each source prefix seen of late, under its first address. As `sources`. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 65536);
    __type(key, struct dos_address);
    __type(value, struct dos_bucket);
} source_prefixes SEC(".maps") SLUICE_STATE;

static __always_inline int dos_prefix_conforms(const struct dos_packet *packet)
{
    int v4 = packet->family == 4;
    struct dos_address prefix = {
        .high = packet->source.high & (v4 ? prefix_mask_v4.high : prefix_mask_v6.high),
        .low = packet->source.low & (v4 ? prefix_mask_v4.low : prefix_mask_v6.low),
    };

    return dos_conforms(&source_prefixes, &prefix, prefix_limit_interval, prefix_limit_tolerance);
}

SLUICE_XDP_STAGE(volumetric_dos)
{
    struct dos_walk walk = {
        .packet.vlans = {DOS_NO_VLAN, DOS_NO_VLAN}, .ctx = ctx, .frame = sluice_length(ctx), .best = DOS_NO_RULE};
    enum dos_reason reason = dos_filter(ctx, &walk);

    /* The address first: what its limit drops does not use up the limit of its neighbours. */
    if (reason == DOS_PASSED && limit_interval &&
        !dos_conforms(&sources, &walk.packet.source, limit_interval, limit_tolerance))
        reason = DOS_LIMIT;
    if (reason == DOS_PASSED && prefix_limit_interval && !dos_prefix_conforms(&walk.packet))
        reason = DOS_PREFIX_LIMIT;
    return dos_verdict(reason, walk.frame);
}

char _license[] SEC("license") = "Dual BSD/GPL";
