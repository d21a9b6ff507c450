/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * What goes back to the kernel of what a program returned that is not written for Sluice, or that another may have
 * written. At some hooks of a cgroup bit 1 means something besides the verdict: that a port takes no
 * CAP_NET_BIND_SERVICE, that TCP shall send less.
 */
#ifdef SLUICE_ALLOWS_OR_DENIES

/* 2 where that bit is let through. Set before load. */
const volatile __u32 sluice_second_bit = 0;

static __always_inline __u32 returned_whole(__u32 returned)
{
    return sluice_clamp(returned) | (returned & sluice_second_bit & 2);
}

#else

static __always_inline __u32 returned_whole(__u32 returned)
{
    return sluice_clamp(returned);
}

#endif
