// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOPosix
import SluiceAPI

extension Caller {
    /// The peer with its user's name and its command. The look-ups may ask a directory service and read files, so they
    /// have a thread of their own.
    init(_ peer: Peer) async {
        let name = try? await NIOThreadPool.singleton.runIfActive { Self.name(of: peer) }
        self.init(uid: peer.uid, pid: peer.pid, name: name ?? "uid \(peer.uid)")
    }

    /// `alice (uid 1000, sluicectl apply -f edge.yaml)`. The uid is the kernel's word; the command is the process's own
    /// and only helps to remember: a process can write there what it likes.
    static func name(of peer: Peer) -> String {
        let facts = ["uid \(peer.uid)", CommandLine(of: peer.pid)?.description].compactMap(\.self)
            .joined(separator: ", ")
        return userName(peer.uid).map { "\($0) (\(facts))" } ?? facts
    }

    private static func userName(_ uid: uid_t) -> String? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16 << 10)
        guard getpwuid_r(uid, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        return String(cString: entry.pw_name)
    }
}

/// What a process was started by, as it may stand in records: one line, printable, short.
struct CommandLine: CustomStringConvertible {
    static let limit = 120

    let description: String

    /// `/proc/PID/cmdline`; nil when it cannot be read, or the process has ended.
    init?(of pid: pid_t) {
        let descriptor = open("/proc/\(pid)/cmdline", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return nil }
        self.init(arguments: bytes.prefix(count))
    }

    /// - Parameter raw: the arguments, each with a zero byte behind it.
    init?(arguments raw: some Sequence<UInt8>) {
        let words = Array(raw).split(separator: 0, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard let program = words.first, !program.isEmpty else { return nil }
        let name = program.split(separator: "/").last.map(String.init) ?? program
        var text = ([name] + words.dropFirst()).joined(separator: " ")
        text = String(String.UnicodeScalarView(text.unicodeScalars.map { Self.isPlain($0) ? $0 : "?" }))
        while text.last == " " { text.removeLast() }
        description = text.count > Self.limit ? text.prefix(Self.limit) + "..." : text
    }

    /// No control or formatting characters: records are shown on terminals.
    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
        default: true
        }
    }
}
