// SPDX-License-Identifier: Apache-2.0

internal import CKernel
internal import Glibc

/// The sockets of a process, seen through /proc and taken by pidfd_getfd(2): with the rights of whoever asks, which for
/// another's process are those of a debugger (`CAP_SYS_PTRACE`).
package struct ProcessSockets {
    package let pid: Int32
    private let pidfd: Descriptor

    /// - Throws: when there is no such process.
    package init(of pid: Int32) throws(SocketGroupError) {
        let raw = pid > 0 ? ck_pidfd_open(pid) : -1
        guard raw >= 0 else {
            if pid <= 0 || errno == ESRCH { throw SocketGroupError("there is no process \(pid)") }
            if errno == EINVAL { throw SocketGroupError("\(pid) is a thread; give its process") }
            throw SocketGroupError("open process \(pid)", errno: errno)
        }
        self.pid = pid
        pidfd = Descriptor(raw)
    }

    /// Its descriptors that are sockets, by the socket's inode; of several of one socket the first.
    package func descriptors() throws(SocketGroupError) -> [UInt64: Int32] {
        let folder = "/proc/\(pid)/fd"
        guard let stream = opendir(folder) else {
            if errno == ENOENT { throw SocketGroupError("there is no process \(pid) any more") }
            throw SocketGroupError(
                "process \(pid) belongs to somebody else: run as root, or as who runs it; list \(folder)", errno: errno)
        }
        defer { closedir(stream) }
        var found: [UInt64: Int32] = [:]
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            var target = [UInt8](repeating: 0, count: 64)
            let room = target.count
            let count = target.withUnsafeMutableBytes { buffer in
                readlink("\(folder)/\(name)", buffer.baseAddress!.assumingMemoryBound(to: CChar.self), room)
            }
            if count < 0, errno == EACCES || errno == EPERM {
                throw SocketGroupError(
                    "may not see what the descriptors of process \(pid) are: that takes CAP_SYS_PTRACE")
            }
            guard let number = Int32(name), count > 9, target.starts(with: "socket:[".utf8),
                let inode = UInt64(String(decoding: target[8..<count - 1], as: UTF8.self))
            else { continue }
            found[inode] = min(found[inode] ?? number, number)
        }
        return found
    }

    /// One of its descriptors, as one of our own; nil when it has been closed meanwhile.
    package func take(_ number: Int32) throws(SocketGroupError) -> Descriptor? {
        let raw = ck_pidfd_take(pidfd.raw, number)
        if raw >= 0 { return Descriptor(raw) }
        switch errno {
        case EBADF, ESRCH: return nil
        case EPERM, ENOSYS:
            throw SocketGroupError(
                "may not take descriptors of process \(pid): that takes CAP_SYS_PTRACE, a container that allows "
                    + "pidfd_getfd, and no ban by kernel.yama.ptrace_scope")
        default: throw SocketGroupError("take descriptor \(number) of process \(pid)", errno: errno)
        }
    }

    /// Its sockets that are bound as a pattern says.
    /// - Parameter all: Whether they may be several.
    /// - Throws: when there is none, or more than one where one was asked for; with what there is.
    package func matching(_ pattern: LocalPattern, all: Bool) throws(SocketGroupError) -> [Descriptor] {
        var found: [(facts: SocketFacts, descriptor: Descriptor)] = []
        var others: [SocketFacts] = []
        for (inode, number) in try descriptors().sorted(by: { $0.value < $1.value }) {
            // A number may have been given to another socket meanwhile: what counts is what was taken.
            guard let descriptor = try take(number), let facts = SocketFacts(of: descriptor.raw), facts.inode == inode
            else { continue }
            if pattern.matches(facts) {
                found.append((facts, descriptor))
            } else if facts.local != nil, facts.isListening || facts.remote == nil {
                others.append(facts)
            }
        }
        func list(_ sockets: [SocketFacts]) -> String {
            let lines = sockets.prefix(10).map(\.title) + (sockets.count > 10 ? ["\(sockets.count - 10) more"] : [])
            return lines.isEmpty ? "none" : lines.joined(separator: ", ")
        }
        guard !found.isEmpty else {
            throw SocketGroupError("process \(pid) has no socket \(pattern); those it has: \(list(others))")
        }
        guard all || found.count == 1 else {
            throw SocketGroupError(
                "\(found.count) sockets of process \(pid) match \(pattern): \(list(found.map(\.facts))); name one by its "
                    + "whole address, or pass --all for all of them")
        }
        return found.map(\.descriptor)
    }

    /// A process that holds a socket, and its descriptor there.
    package struct Holder: Sendable {
        package var pid: Int32
        package var descriptor: Int32
    }

    /// Who holds sockets, by the sockets' inodes; of several processes the first that is seen.
    package static func holders(of inodes: Set<UInt64>) -> [UInt64: Holder] { search(for: inodes, among: nil).found }

    /// - Parameter pids: Where to look; nil for everywhere.
    /// - Returns: With those that were found, how many processes could not be looked at before all were.
    package static func search(
        for inodes: Set<UInt64>, among pids: [Int32]?
    ) -> (found: [UInt64: Holder], unseen: Int) {
        var found: [UInt64: Holder] = [:]
        var unseen = 0
        guard !inodes.isEmpty else { return (found, unseen) }
        for pid in pids ?? running() {
            if found.count == inodes.count { break }
            // One that has ended meanwhile holds nothing.
            guard let process = try? ProcessSockets(of: pid) else { continue }
            do {
                let descriptors = try process.descriptors()
                for inode in inodes where found[inode] == nil {
                    if let number = descriptors[inode] { found[inode] = Holder(pid: pid, descriptor: number) }
                }
            } catch {
                unseen += 1
            }
        }
        return (found, unseen)
    }

    /// The name that a process has for the kernel (`comm`); nil when it has gone.
    package static func command(of pid: Int32) -> String? {
        guard let file = fopen("/proc/\(pid)/comm", "re") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard fgets(&line, Int32(line.count), file) != nil else { return nil }
        return String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func running() -> [Int32] {
        guard let stream = opendir("/proc") else { return [] }
        defer { closedir(stream) }
        var pids: [Int32] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let pid = Int32(name) { pids.append(pid) }
        }
        return pids.sorted()
    }
}
