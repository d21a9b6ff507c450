// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

// What a test lab needs of the kernel and Swift cannot call: namespaces and fork. All return -errno on failure.

/// Gives the calling thread its own network and mount namespace (root needed), with every mount private, so that
/// nothing mounted here is seen elsewhere.
int ck_lab_isolate(void);

/// Mounts `type` on `path`, in the calling thread's mount namespace.
int ck_lab_mount(const char *type, const char *path, const char *options);

/// Unmounts `path`, at once for lookups and in the end for good (MNT_DETACH).
int ck_lab_unmount(const char *path);

/// Moves the calling thread into the network namespace that `path` is.
int ck_lab_enter(const char *path);

/// What to run and with what; every pointer only needs to live during the call.
struct ck_lab_command {
    char *const *argv;
    char *const *envp;
    int in;
    int out;
    int err;
    /// A network namespace to enter before exec, as a path; NULL for the caller's.
    const char *netns;
};

/// Starts a child in the calling thread's namespaces, leader of its own process group, with no other descriptor than
/// the three. The kernel kills it when the calling thread ends. Returns its pid; -errno of whatever failed, exec
/// included.
pid_t ck_lab_spawn(const struct ck_lab_command *command);

/// Attaches a program to an interface by a tcx link (BPF_LINK_CREATE, Linux 6.6). Returns the link's descriptor.
int ck_lab_tcx(int program, int interface, int egress);

/// pidfd_open(2), since glibc 2.36; waits without polling.
int ck_lab_pidfd(pid_t pid);

/// Keeps the calling thread on the first processor it may run on.
int ck_lab_pin(void);
