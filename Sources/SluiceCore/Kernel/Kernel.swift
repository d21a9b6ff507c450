// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// What kernel this is.
enum Kernel {
    /// `uname -r`.
    static func release() -> String {
        var name = utsname()
        uname(&name)
        return withUnsafeBytes(of: name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    static func isAtLeast(_ major: Int, _ minor: Int) -> Bool {
        let numbers = release().split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
        guard numbers.count == 2 else { return false }
        return (numbers[0], numbers[1]) >= (major, minor)
    }

    /// A sysctl's value, `net/core/bpf_jit_enable`; nil when it may not be read.
    static func setting(_ name: String) -> String? {
        (try? String(contentsOfFile: "/proc/sys/\(name)", encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
