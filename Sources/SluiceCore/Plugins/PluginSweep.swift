// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// Ends what a plugin left behind outside of its process group (`setsid`, a daemon): a process of the plugins' user
/// whose group has lost its leader, or whose leader has lost its parent. A second manager's plugins have theirs.
enum PluginSweep {
    /// Does nothing unless the user is the plugins' alone.
    /// - Returns: How many processes it killed.
    @discardableResult
    static func run(user: PluginUser?) -> Int {
        guard let user, user.isDedicated, let folder = opendir("/proc") else { return 0 }
        defer { closedir(folder) }
        var killed = 0
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let pid = Int32(name), owner(of: pid) == user.uid, let process = Process(pid) else { continue }
            if let leader = Process(process.group), leader.parent != 1 { continue }
            if kill(pid, SIGKILL) == 0 { killed += 1 }
        }
        return killed
    }

    private struct Process {
        let parent: Int32
        let group: Int32

        /// From `/proc/<pid>/stat`; nil when it is gone or a zombie.
        init?(_ pid: Int32) {
            guard let stat = contents(of: "/proc/\(pid)/stat") else { return nil }
            // The name, in parentheses, may hold anything; after its last parenthesis come state, parent and group.
            let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
            guard fields.count > 3, fields[1] != "Z", let parent = Int32(fields[2]), let group = Int32(fields[3]) else {
                return nil
            }
            self.parent = parent
            self.group = group
        }
    }

    /// The real user id; not the owner of the folder, which is root for a process that cannot be traced.
    private static func owner(of pid: Int32) -> UInt32? {
        guard let status = contents(of: "/proc/\(pid)/status") else { return nil }
        for line in status.split(separator: "\n") where line.hasPrefix("Uid:") {
            return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { UInt32($0) }
        }
        return nil
    }

    private static func contents(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
