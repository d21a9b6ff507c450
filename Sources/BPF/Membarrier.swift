// SPDX-License-Identifier: Apache-2.0

internal import CKernel
internal import Glibc

/// Returns once every packet that was in a BPF program at the time of the call has left it
/// (`membarrier(MEMBARRIER_CMD_GLOBAL)`, about 10 ms). Kernels booted with `nohz_full` refuse it; there a second's
/// sleep stands in, far longer than any packet takes.
public func waitForPacketsInFlight() {
    if ck_membarrier_global() != 0 { sleep(1) }
}
