// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc
internal import Synchronization

/// Catches what libbpf would print to standard error, so that it becomes part of an error instead.
enum LibbpfLog {
    private static let lines = Mutex<[UInt: [String]]>([:])

    /// Runs `body` and gives what libbpf had to say meanwhile on this thread: its warnings, without its prefix.
    static func capture<Result>(_ body: () -> Result) -> (Result, [String]) {
        install
        let thread = UInt(pthread_self())
        lines.withLock { $0[thread] = [] }
        let result = body()
        let said = lines.withLock { $0.removeValue(forKey: thread) } ?? []
        return (result, said)
    }

    private static let install: Void = {
        _ = libbpf_set_print { level, format, arguments in
            guard level == LIBBPF_WARN, let format else { return 0 }
            var buffer = [CChar](repeating: 0, count: 1024)
            vsnprintf(&buffer, buffer.count, format, arguments!)
            let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let thread = UInt(pthread_self())
            LibbpfLog.lines.withLock { lines in
                if lines[thread] != nil { lines[thread]!.append(LibbpfLog.clean(text)) }
            }
            return 0
        }
    }()

    private static func clean(_ text: String) -> String {
        let line = text.hasSuffix("\n") ? String(text.dropLast()) : text
        return line.hasPrefix("libbpf: ") ? String(line.dropFirst(8)) : line
    }
}
