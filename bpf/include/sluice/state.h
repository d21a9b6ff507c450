/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * Marks a map whose contents outlive a generation (connection tables, token buckets): the next generation gets the
 * same map as long as its layout is the same. A map without the mark is configuration and belongs to its generation,
 * so that a rollback brings the old rules back with the old code.
 *
 *     struct { ... } sources SEC(".maps") SLUICE_STATE;
 */
#define SLUICE_STATE __attribute__((btf_decl_tag("sluice:state")))
