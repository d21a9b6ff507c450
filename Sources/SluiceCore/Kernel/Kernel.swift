// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation

/// What kernel this is.
enum Kernel {
    /// `uname -r`.
    static func release() -> String { KernelVersion.release }

    static func isAtLeast(_ major: Int, _ minor: Int) -> Bool { KernelVersion.running >= KernelVersion(major, minor) }

    /// A sysctl's value, `net/core/bpf_jit_enable`; nil when it may not be read.
    static func setting(_ name: String) -> String? {
        (try? String(contentsOfFile: "/proc/sys/\(name)", encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
