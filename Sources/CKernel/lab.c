// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int ck_lab_isolate(void)
{
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
        return -errno;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    return 0;
}

int ck_lab_mount(const char *type, const char *path, const char *options)
{
    return mount(type, path, type, 0, options) < 0 ? -errno : 0;
}

int ck_lab_unmount(const char *path)
{
    return umount2(path, MNT_DETACH) < 0 ? -errno : 0;
}

int ck_lab_enter(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int status = setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
    close(fd);
    return status;
}

/// The child's side, between fork and exec: only calls that are safe there. Returns the errno that stopped it.
static int become(const struct ck_lab_command *command)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    // The parent of a child is a thread, so this also fires when only the lab's thread ends.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setpgid(0, 0) < 0)
        return errno;
    if (command->netns) {
        int status = ck_lab_enter(command->netns);
        if (status < 0)
            return -status;
    }
    // First above the three, so that no dup2 below overwrites one that is still to be copied.
    int in = fcntl(command->in, F_DUPFD, 10), out = fcntl(command->out, F_DUPFD, 10);
    int err = fcntl(command->err, F_DUPFD, 10);
    if (in < 0 || out < 0 || err < 0)
        return errno;
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        return errno;
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return errno;
    execvpe(command->argv[0], command->argv, command->envp);
    return errno;
}

pid_t ck_lab_spawn(const struct ck_lab_command *command)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        int failure = become(command);
        (void)!write(report[1], &failure, sizeof(failure));
        _exit(127);
    }
    int failure = pid < 0 ? errno : 0;
    close(report[1]);
    // exec closes the pipe; until then read waits, so that a child that was returned is one that runs the program.
    if (pid > 0) {
        while (read(report[0], &failure, sizeof(failure)) < 0 && errno == EINTR)
            ;
        if (failure)
            waitpid(pid, NULL, 0);
    }
    close(report[0]);
    return failure ? -failure : pid;
}

int ck_lab_tcx(int program, int interface, int egress)
{
    // Debian 12's header has no tcx: BPF_TCX_INGRESS is 46, BPF_TCX_EGRESS 47.
    union bpf_attr attr = {
        .link_create = {.prog_fd = program, .target_ifindex = interface, .attach_type = 46 + !!egress}};
    int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
    return fd < 0 ? -errno : fd;
}

int ck_lab_pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : fd;
}

int ck_lab_pin(void)
{
    cpu_set_t allowed, first;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        return -errno;
    CPU_ZERO(&first);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed)) {
            CPU_SET(cpu, &first);
            break;
        }
    }
    return sched_setaffinity(0, sizeof(first), &first) < 0 ? -errno : 0;
}
