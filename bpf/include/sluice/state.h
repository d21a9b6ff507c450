/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/*
 * Marks a map whose contents outlive a generation (connection tables, token buckets): the next generation gets the
 * same map as long as its layout and size are the same. A map without the mark is configuration and belongs to its
 * generation, so that a rollback brings the old rules back with the old code.
 *
 *     struct { ... } sources SEC(".maps") SLUICE_STATE;
 */
#define SLUICE_STATE __attribute__((btf_decl_tag("sluice:state")))

/*
 * Declares what an earlier version's state map looked like, for a version whose own has another layout or size: same
 * type, key and value as then; the size does not matter. At an upgrade the manager puts the old map in its place. At
 * all other times it is an empty map of one entry.
 *
 *     struct { ... } sources_v1 SEC(".maps") SLUICE_STATE_BEFORE(sources);
 *
 * What the plugin answers to `migrate` says how the state gets from there into the new map: `lazy`, when the stage
 * looks a missing key up there (see sluice_find), or `merge`, by SLUICE_MERGE. The stage only ever reads it: what is
 * in there is what a rollback returns to.
 */
#define SLUICE_STATE_BEFORE(map) __attribute__((btf_decl_tag("sluice:before:" #map)))

/*
 * The value of a key, which gets `initial` if it has none. If several CPUs miss a key at once, one inserts and all get
 * what that one inserted. Null if there is no room. To take old state over lazily:
 *
 *     struct source *source = bpf_map_lookup_elem(&sources, &key);
 *
 *     if (!source) {
 *         struct source_v1 *before = bpf_map_lookup_elem(&sources_v1, &key);
 *         struct source fresh = {.packets = before ? before->packets : 0};
 *
 *         source = sluice_find(&sources, &key, &fresh);
 *     }
 */
static __always_inline void *sluice_find(void *map, const void *key, const void *initial)
{
    void *value = bpf_map_lookup_elem(map, key);

    if (value)
        return value;
    bpf_map_update_elem(map, key, initial, BPF_NOEXIST);
    return bpf_map_lookup_elem(map, key);
}

/* What the manager and a merge program tell each other. */
struct sluice_merge {
    __u64 most;    /* To the program: end this run after so many entries. */
    __u64 merged;  /* From it: the entries merged so far, by all runs. */
    __u64 refused; /* Of these, those that the body had no room for. */
    __u64 left;    /* Whether there are more. */
};

/* One run's way through the old map. */
struct sluice_merge_walk {
    __u64 skip; /* Entries that earlier runs merged. */
    __u64 most;
    __u64 left;
};

/*
 * Begins the body of what merges one entry of an old map, declared by SLUICE_STATE_BEFORE, into the new one. `key` and
 * `before` point to the entry. The body adds, by atomic operations, since the new map is in use already; it returns 0,
 * or -1 if there is no room. It never changes the old map.
 *
 *     SLUICE_MERGE(sources_v1, struct address, struct source_v1)
 *     {
 *         struct source none = {};
 *         struct source *source = sluice_find(&sources, key, &none);
 *
 *         if (!source)
 *             return -1;
 *         __sync_fetch_and_add(&source->packets, before->packets);
 *         return 0;
 *     }
 *
 * The manager runs it after the flip, when no packet is in the old generation any more. A run cannot be interrupted by
 * a signal and counts what it merged in the kernel, so that each entry is merged once, whatever becomes of the manager.
 */
#define SLUICE_MERGE(map, key_type, value_type)                                                                        \
    static volatile struct sluice_merge sluice_merge_progress_##map;                                                   \
    static __always_inline long map##_merge_body(const key_type *key, const value_type *before);                       \
    static long map##_merge_entry(void *unused, const void *key, void *value, struct sluice_merge_walk *walk)          \
    {                                                                                                                  \
        (void)unused;                                                                                                  \
        if (walk->skip) {                                                                                              \
            walk->skip--;                                                                                              \
            return 0;                                                                                                  \
        }                                                                                                              \
        if (!walk->most) {                                                                                             \
            walk->left = 1;                                                                                            \
            return 1;                                                                                                  \
        }                                                                                                              \
        walk->most--;                                                                                                  \
        if (map##_merge_body(key, value))                                                                              \
            sluice_merge_progress_##map.refused++;                                                                     \
        sluice_merge_progress_##map.merged++;                                                                          \
        return 0;                                                                                                      \
    }                                                                                                                  \
    SEC("syscall") int sluice_merge_##map(struct sluice_merge *run)                                                    \
    {                                                                                                                  \
        struct sluice_merge_walk walk = {.skip = sluice_merge_progress_##map.merged, .most = run->most};               \
                                                                                                                       \
        bpf_for_each_map_elem(&map, map##_merge_entry, &walk, 0);                                                      \
        run->merged = sluice_merge_progress_##map.merged;                                                              \
        run->refused = sluice_merge_progress_##map.refused;                                                            \
        run->left = walk.left;                                                                                         \
        return 0;                                                                                                      \
    }                                                                                                                  \
    static __always_inline long map##_merge_body(const key_type *key, const value_type *before)
