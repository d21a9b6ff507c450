/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "allow.h"
#include "live.h"

/*
 * Everything but the limits, in the order that an operator relies on: what the link needs to work, then the allow list,
 * then what cannot be a packet, then the rules, those added while the stage is live first. DOS_PASSED leaves it to the
 * limits.
 */
static __always_inline enum dos_reason dos_filter(struct dos_way *way)
{
    struct dos_walk *walk = &way->walk;
    struct dos_payload payload;
    __u8 later = 0;
    enum dos_kind kind = dos_parse(way->ctx, walk->frame, &walk->packet, &payload, &later);
    enum dos_reason reason;

    if (kind == DOS_KIND_ARP)
        return DOS_ARP;
    if (kind == DOS_KIND_NDP)
        return DOS_NDP;
    if (kind == DOS_KIND_OTHER)
        return DOS_NOT_IP;
    if (later)
        sluice_add(&reasons, DOS_FRAGMENT, walk->frame);
    if (dos_allowed(&walk->packet))
        return DOS_ALLOWED;
    if (kind == DOS_KIND_MALFORMED)
        return passes_malformed ? DOS_MALFORMED_PASSED : DOS_MALFORMED;
    reason = dos_try_live_rules(way);
    return walk->best == DOS_NO_RULE ? dos_try_rules(way) : reason;
}

/* Counts the reason, and gives the verdict that follows from it. */
static __always_inline __u32 dos_verdict(enum dos_reason reason, __u32 frame)
{
    int drops = reason >= DOS_MALFORMED;

    if (drops && dry_run) {
        reason++;
        drops = 0;
    }
    sluice_add(&reasons, reason, frame);
    return drops ? XDP_DROP : SLUICE_NEXT;
}
