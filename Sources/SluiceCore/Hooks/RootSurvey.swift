// SPDX-License-Identifier: Apache-2.0

internal import BPF

/// Where a hook's root is, and how it looks where it belongs; as the kernel says, at one moment.
struct RootSurvey: Hashable {
    enum Place: Hashable {
        /// On its interface, held by the pinned link.
        case attached(XDPMode)
        /// On its interface, but the pin of its link has gone: it stays for as long as somebody else holds the link.
        case unpinned(XDPMode)
        /// On the interface that it was attached to, which has another name now.
        case renamed(String, XDPMode)
        /// On an interface that is in another network namespace now, or in one that has lost its name.
        case strayed
        /// Somewhere; the manager may not enter the network namespace to see where.
        case unseen
        case detached
    }

    /// The interface of the hook's name.
    enum Interface: Hashable {
        case present
        /// Other programs than the root are on it.
        case taken([XDP.Attached])
        case absent
        case noNamespace
        case unseen(Errno?)
    }

    var place: Place
    var interface: Interface

    /// Whether packets go through the root, and nothing is to be done.
    var isInPlace: Bool {
        switch place {
        case .attached, .unpinned, .unseen: true
        case .renamed: !isPresent
        case .strayed, .detached: false
        }
    }

    /// Whether the interface must come before anything can be done. From one that was moved away the root is taken off
    /// first; in a namespace that has but lost its name it stays.
    var isWaiting: Bool {
        switch (place, interface) {
        case (.strayed, .absent): false
        case (_, .absent), (_, .noNamespace): !isInPlace
        default: false
        }
    }

    private var isPresent: Bool {
        switch interface {
        case .present, .taken: true
        case .absent, .noNamespace, .unseen: false
        }
    }

    var mode: XDPMode? {
        switch place {
        case .attached(let mode), .unpinned(let mode), .renamed(_, let mode): mode
        case .strayed, .unseen, .detached: nil
        }
    }
}

extension XDPHook {
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
                interface: isGone ? .noNamespace : .unseen(error.errno))
        }
    }

    private func look(link: BPFLink.Info?, root: UInt32?) throws(BPFError) -> RootSurvey {
        let index = XDP.interfaceIndex(hook.interface)
        let there = try index.map(programs) ?? []
        let others = there.filter { $0.programID != root && $0.programID != link?.programID }
        let interface: RootSurvey.Interface = index == nil ? .absent : others.isEmpty ? .present : .taken(others)
        guard let link else {
            let mine = there.first { $0.programID == root }
            return RootSurvey(place: mine.map { .unpinned($0.mode) } ?? .detached, interface: interface)
        }
        if link.interface == index, let mine = there.first(where: { $0.programID == link.programID }) {
            return RootSurvey(place: .attached(mine.mode), interface: interface)
        }
        for other in try Interfaces.list() where other.index == link.interface {
            if let mine = other.programs.first(where: { $0.programID == link.programID }) {
                return RootSurvey(place: .renamed(other.name, mine.mode), interface: interface)
            }
        }
        return RootSurvey(place: .strayed, interface: interface)
    }

    private func programs(on index: Int) throws(BPFError) -> [XDP.Attached] {
        do throws(BPFError) { return try XDP.attached(to: index) } catch {
            // Gone since its index was asked for.
            guard error.errno == .noDevice else { throw error }
            return []
        }
    }
}
