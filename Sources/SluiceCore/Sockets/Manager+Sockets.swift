// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
public import SluiceAPI
package import SluiceSockets
internal import StageKit

extension Manager {
    public func sockets(_ hook: String) throws -> SocketGroupReport {
        try failing("sockets of \(hook)") {
            let id = try resolve(hook)
            let members = try groupMembers(id).list()
            let holders = ProcessSockets.holders(of: Set(members.map(\.inode)).subtracting([0]))
            return SocketGroupReport(
                hook: id.description,
                sockets: members.map { member in
                    let pid = holders[member.inode]?.pid
                    let seconds = TimeInterval(member.joined) / 1_000_000_000
                    return SocketMember(
                        transport: member.transportName, local: "\(member.local)", state: member.stateName,
                        joined: Store.timestamp(Date(timeIntervalSince1970: seconds)), byRule: member.byRule,
                        cookie: member.cookie, inode: member.inode, netns: member.netns, pid: pid,
                        command: pid.flatMap { ProcessSockets.command(of: $0) })
                }, missed: missed[id] ?? [])
        }
    }

    /// Brings sockets into a group: all of them or, if one cannot be, none.
    ///
    /// It runs beside a change that waits for a plugin: the group's root and slot are there, whatever generation is built.
    /// - Returns: How many were not in it before.
    package func join(_ group: String, _ sockets: [Descriptor], replace: Bool, by caller: Caller) throws -> Int {
        try join(hook(ofGroup: group), sockets, replace: replace, by: caller.name, byRule: false)
    }

    func join(
        _ hook: HookID, _ sockets: [Descriptor], replace: Bool, by author: String, byRule: Bool
    ) throws -> Int {
        let members = try groupMembers(hook)
        var joining: [(facts: SocketFacts, socket: Descriptor, hadFilter: Bool)] = []
        do {
            let others = try otherGroups(than: hook)
            for socket in sockets {
                let (facts, filter) = try check(socket, others)
                if try members.contains(socket.raw) || joining.contains(where: { $0.facts.cookie == facts.cookie }) {
                    continue
                }
                try checkFilter(filter, of: socket, facts, replace: replace)
                joining.append((facts, socket, filter != .none))
            }
            for (index, joiner) in joining.enumerated() {
                do {
                    try members.add(joiner.socket.raw, cookie: joiner.facts.cookie, byRule: byRule)
                } catch {
                    for done in joining[..<index] { try? members.remove(done.socket.raw) }
                    let lost = joining[..<index].contains(where: \.hadFilter)
                    throw APIErrorBody.refused(
                        "\(joiner.facts.title): \(explain(error))"
                            + (lost ? "; filters that were replaced are lost" : ""))
                }
            }
        } catch {
            let failure = APIErrorBody(error, during: "join \(hook.place)")
            // A standing rule tries again and again, and tells once.
            if !byRule { record("join", hook.description, outcome: "failed", by: author, failure.message) }
            throw failure
        }
        guard !joining.isEmpty else { return 0 }
        record("join", hook.description, outcome: "done", by: author, "joined: \(list(joining.map(\.facts)))")
        return joining.count
    }

    /// Takes sockets out of a group; those that are not in it stay as they are.
    /// - Returns: How many were in it.
    package func leave(_ group: String, _ sockets: [Descriptor], by caller: Caller) throws -> Int {
        let hook = try hook(ofGroup: group)
        let members = try groupMembers(hook)
        var left: [SocketFacts] = []
        do {
            for socket in sockets {
                guard let facts = SocketFacts(of: socket.raw), try members.contains(socket.raw) else { continue }
                guard !SocketFilterState.isLocked(socket.raw) else {
                    throw APIErrorBody.refused(
                        "\(facts.title): its filter is locked (SO_LOCK_FILTER); it goes with the socket")
                }
                try members.remove(socket.raw)
                left.append(facts)
            }
        } catch {
            var failure = APIErrorBody(error, during: "leave \(group)")
            if !left.isEmpty { failure.message += "; before it these left: \(list(left))" }
            record("leave", hook.description, outcome: "failed", by: caller.name, failure.message)
            throw failure
        }
        guard !left.isEmpty else { return 0 }
        record("leave", hook.description, outcome: "done", by: caller.name, "left: \(list(left))")
        return left.count
    }

    private func check(
        _ socket: Descriptor, _ others: [GroupMembers]
    ) throws -> (facts: SocketFacts, filter: SocketFilterState) {
        guard let facts = SocketFacts(of: socket.raw) else {
            throw APIErrorBody.refused("one of the descriptors is no socket; a group takes sockets")
        }
        guard facts.isIPv6 != nil else {
            throw APIErrorBody.refused("one of the sockets is neither IPv4 nor IPv6; a group takes only these")
        }
        for other in others where try other.contains(socket.raw) {
            throw APIErrorBody.conflict(
                "\(facts.title) is in the group \(other.directory.hook.place), and a socket has one filter; `sluicectl "
                    + "socket remove \(other.directory.hook.place)` takes it out")
        }
        return (facts, try SocketFilterState(of: socket.raw))
    }

    private func checkFilter(
        _ filter: SocketFilterState, of socket: Descriptor, _ facts: SocketFacts, replace: Bool
    ) throws {
        let what =
            switch filter {
            case .none: "no filter"
            case .classic(let count): "a classic BPF filter of \(count) instructions"
            case .eBPF: "an eBPF filter (somebody else's, or of a group that was detached)"
            }
        guard !SocketFilterState.isLocked(socket.raw) else {
            throw APIErrorBody.refused(
                "\(facts.title) has \(what), and its owner has locked that (SO_LOCK_FILTER): nobody can change it any more"
            )
        }
        guard filter == .none || replace else {
            throw APIErrorBody.conflict("\(facts.title) has \(what) already; --replace takes its place")
        }
    }

    private func explain(_ error: any Error) -> String {
        guard let error = error as? BPFError else { return "\(error)" }
        switch error.errno {
        case .noMemory:
            return
                "\(error): the socket has no memory for options left (raise net.core.optmem_max), or the kernel none at all"
        default: return "\(error)"
        }
    }

    private func list(_ sockets: [SocketFacts]) -> String {
        let more = sockets.count > 5 ? ["\(sockets.count - 5) more"] : []
        return (sockets.prefix(5).map { "\($0.title)" } + more).joined(separator: ", ")
    }

    private func hook(ofGroup name: String) throws -> HookID {
        let hook = try HookID(kind: .socketFilter, place: name)
        guard try knownHooks().contains(hook) else {
            let groups = try knownHooks().filter { $0.kind == .socketFilter }.map(\.place)
            throw APIErrorBody.notFound(
                "there is no group \"\(name)\"; groups: \(groups.isEmpty ? "none" : groups.joined(separator: ", ")). "
                    + "Applying a chain at socket-filter:\(name) makes it one")
        }
        return hook
    }

    private func groupMembers(_ hook: HookID) throws -> GroupMembers {
        guard hook.kind == .socketFilter else {
            throw APIErrorBody.refused("\(hook) is no group of sockets; those are socket-filter:GROUP")
        }
        let members = GroupMembers(directory: directory(hook))
        guard members.exists else { throw notLive(hook) }
        return members
    }

    private func otherGroups(than hook: HookID) throws -> [GroupMembers] {
        try knownHooks().filter { $0.kind == .socketFilter && $0 != hook }
            .map { GroupMembers(directory: directory($0)) }
    }
}
