// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// A program that is attached to an interface, and in which way.
struct AttachedHere: Hashable {
    var id: UInt32
    var mode: String
}

/// A hook on an interface: what XDP and traffic control have in common.
protocol InterfaceHook: DisplacingHook {
    /// The programs at this hook of an interface of the calling thread's network namespace, whoever attached them.
    func programs(on interface: Int) throws(BPFError) -> [AttachedHere]
}

extension InterfaceHook {
    func checkPlace() throws(APIErrorBody) {
        try inNamespace { _ throws(BPFError) in }
    }

    func repinLink() throws {
        try inNamespace { interface throws(BPFError) in
            let root = try BPFProgram.pinned(at: directory.root).id
            guard let link = try BPFLink.find(program: root, interface: interface) else { throw lostLink(of: root) }
            try link.pin(inPlaceOf: directory.link)
        }
    }

    func owner(of program: UInt32) -> HookID? {
        ((try? Bpffs.list(directory.parent)) ?? []).compactMap { HookID(directoryName: $0) }.first {
            (try? BPFProgram.pinned(at: directory.neighbour($0).root).id) == program
        }
    }

    /// Runs `body` with the interface's index in its network namespace.
    func inNamespace(_ body: (Int) throws(BPFError) -> Void) throws(APIErrorBody) {
        do throws(BPFError) {
            try inNetworkNamespace(hook.netns) { () throws(BPFError) in
                guard let interface = XDP.interfaceIndex(hook.interface) else {
                    throw BPFError(
                        "attach", "\(hook)",
                        cause: "there is no interface \"\(hook.interface)\"\(whereIts); create it, or correct the name")
                }
                try body(interface)
            }
        } catch {
            if error.operation == "enter network namespace" || error.object == hook.netns {
                throw APIErrorBody(
                    code: error.errno == .noEntry ? "not-found" : "kernel",
                    message: "\(hook): \(error); "
                        + (error.errno == .notPermitted
                            ? "entering a network namespace needs CAP_SYS_ADMIN (units/sluiced.service.d/netns.conf.example)"
                            : "create the namespace (ip netns add NAME), or correct the path"))
            }
            throw APIErrorBody(
                code: error.cause?.contains("there is no interface") == true ? "not-found" : "kernel",
                message: "\(error)")
        }
    }

    private var whereIts: String { hook.netns.map { " in network namespace \($0)" } ?? "" }

    var place: String { "the interface" }

    func atPlace(_ body: () throws(BPFError) -> Void) throws(APIErrorBody) {
        try inNamespace { _ throws(BPFError) in try body() }
    }

    /// The interface's index in the namespace that the calling thread is in.
    func index() throws(BPFError) -> Int {
        guard let index = XDP.interfaceIndex(hook.interface) else {
            throw BPFError("find", "interface \"\(hook.interface)\"", errno: .noDevice)
        }
        return index
    }
}

extension InterfaceHook {
    /// Looks where the root is. An index means nothing by itself: interfaces of two namespaces share it, and the kernel
    /// gives it again. So an interface is taken for the root's only if the root's program is on it.
    func survey() throws(BPFError) -> RootSurvey {
        let link = try Bpffs.exists(directory.link) ? BPFLink.pinned(at: directory.link).info() : nil
        let root = try Bpffs.exists(directory.root) ? BPFProgram.pinned(at: directory.root).id : nil
        let isLinked = link.map { $0.interface != 0 } ?? false
        do throws(BPFError) {
            return try inNetworkNamespace(hook.netns) { () throws(BPFError) in
                try look(link: isLinked ? link : nil, root: root)
            }
        } catch {
            guard error.object == hook.netns else { throw error }
            let isGone = error.errno == nil || error.errno == .noEntry
            return RootSurvey(
                place: !isLinked ? .detached : isGone ? .strayed : .unseen,
                target: isGone ? .noNamespace : .unseen(error.errno))
        }
    }

    private func look(link: BPFLink.Info?, root: UInt32?) throws(BPFError) -> RootSurvey {
        let index = XDP.interfaceIndex(hook.interface)
        let there = try index.map(programsOrNone) ?? []
        let others = !Self.isExclusive ? [] : there.map(\.id).filter { $0 != root && $0 != link?.programID }
        let target: RootSurvey.Target = index == nil ? .absent : others.isEmpty ? .present : .taken(others)
        guard let link else {
            if let mine = there.first(where: { $0.id == root }) {
                return RootSurvey(place: needsLink(mine) ? .unpinned(mine.mode) : .attached(mine.mode), target: target)
            }
            return try RootSurvey(place: renamed(root, but: index, linked: false) ?? .detached, target: target)
        }
        if link.interface == index, let mine = there.first(where: { $0.id == link.programID }) {
            return RootSurvey(place: .attached(mine.mode), target: target)
        }
        let elsewhere = try renamed(link.programID, but: nil, linked: true, index: link.interface)
        return RootSurvey(place: elsewhere ?? .strayed, target: target)
    }

    /// The interface that the root is on, under another name than the hook's.
    private func renamed(
        _ program: UInt32?, but known: Int?, linked: Bool, index: Int? = nil
    ) throws(BPFError) -> RootSurvey.Place? {
        guard let program, linked || !Self.isExclusive else { return nil }
        for other in try Interfaces.list() where other.index != known && (index == nil || other.index == index) {
            if let mine = try programsOrNone(other.index).first(where: { $0.id == program }) {
                return .renamed(other.name, mine.mode)
            }
        }
        return nil
    }

    private func needsLink(_ attached: AttachedHere) -> Bool { attached.mode != TCHook.clsact }

    private func programsOrNone(_ index: Int) throws(BPFError) -> [AttachedHere] {
        do throws(BPFError) { return try programs(on: index) } catch {
            // Gone since its index was asked for.
            guard error.errno == .noDevice else { throw error }
            return []
        }
    }
}
