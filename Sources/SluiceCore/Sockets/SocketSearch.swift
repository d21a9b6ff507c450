// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import CKernel
internal import Glibc
internal import SluiceSockets

/// Looks for the sockets that a standing rule speaks of.
enum SocketSearch {
    /// One that was found by sock_diag(7), not yet taken.
    struct Found: Hashable {
        var cookie: UInt64
        var inode: UInt64
        var title: String
    }

    /// The sockets that are bound as a rule says, whosever they are. The kernel goes through its table of sockets for it,
    /// and gives those of the port.
    static func sockets(of rule: SocketRule) throws -> [Found] {
        let pattern = try LocalPattern(parsing: rule.local)
        return try inNetworkNamespace(rule.netns) { () throws(BPFError) in
            var found: [Found] = []
            for family in [AF_INET, AF_INET6] {
                var list: UnsafeMutablePointer<ck_socket>?
                let count = ck_list_sockets(family, pattern.transport.number, pattern.port, &list)
                guard count >= 0 else { throw BPFError("list", "sockets (sock_diag)", errno: .current) }
                defer { free(list) }
                for socket in UnsafeBufferPointer(start: list, count: Int(count)) {
                    let bytes = withUnsafeBytes(of: socket.address) { Array($0.prefix(family == AF_INET ? 4 : 16)) }
                    let local = SocketAddress(bytes: bytes, port: socket.port)
                    guard pattern.matches(local), socket.inode != 0 else { continue }
                    found.append(
                        Found(
                            cookie: socket.cookie, inode: UInt64(socket.inode),
                            title: "\(local)/\(pattern.transport.rawValue)"))
                }
            }
            return found
        }
    }

    /// What came of taking sockets from the processes that hold them.
    struct Outcome {
        var taken: [(found: Found, socket: Descriptor)] = []
        var missed: [(found: Found, why: String)] = []
    }

    /// Takes sockets from the processes of the rule's cgroup. Those that no process there holds are somebody else's, and
    /// left out; unless there are processes that may not be looked at.
    static func take(_ wanted: [Found], of rule: SocketRule) -> Outcome {
        var outcome = Outcome()
        var pids: [Int32]?
        if let cgroup = rule.cgroup {
            // A service that is not there has no sockets.
            guard let folder = Cgroups.folder(of: cgroup) else { return outcome }
            pids = Cgroups.processes(in: folder)
        }
        let (holders, unseen) = ProcessSockets.search(for: Set(wanted.map(\.inode)), among: pids)
        for found in wanted {
            guard let holder = holders[found.inode] else {
                if unseen > 0 {
                    outcome.missed.append((found, "the processes that may hold it cannot be looked at. \(right)"))
                }
                continue
            }
            do {
                // Closed, or another's by now: the next look tells.
                guard let socket = try ProcessSockets(of: holder.pid).take(holder.descriptor),
                    SocketFacts(of: socket.raw)?.cookie == found.cookie
                else { continue }
                outcome.taken.append((found, socket))
            } catch {
                outcome.missed.append((found, "\(error). \(right)"))
            }
        }
        return outcome
    }

    private static let right =
        "The daemon needs CAP_SYS_PTRACE for standing rules: sockets.conf.example in the documentation's folder"
}
