// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "programs.h"

#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// Debian 12's headers are of 6.1: they know neither tcx nor the query's later fields.
enum { tcx_ingress = 46, tcx_egress = 47 };

struct query {
    uint32_t interface, attach_type, query_flags, attach_flags;
    uint64_t programs __attribute__((aligned(8)));
    uint32_t count, unused;
    uint64_t program_flags, links, link_flags, revision;
};

int ck_list_tcx(int interface, int egress, struct ck_tcx_program *programs, int room)
{
    enum { most = 64 };
    uint32_t ids[most] = {0}, links[most] = {0};
    struct query query = {
        .interface = interface,
        .attach_type = egress ? tcx_egress : tcx_ingress,
        .programs = (uintptr_t)ids,
        .count = most,
        .links = (uintptr_t)links,
    };

    if (syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof(query)) < 0)
        return -1;
    for (int i = 0; i < (int)query.count && i < room && i < most; i++)
        programs[i] = (struct ck_tcx_program){.id = ids[i], .link = links[i]};
    return (int)query.count;
}
