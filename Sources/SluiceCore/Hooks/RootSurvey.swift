// SPDX-License-Identifier: Apache-2.0

internal import BPF

/// Where a hook's root is, and how it looks where it belongs; as the kernel says, at one moment.
struct RootSurvey: Hashable {
    enum Place: Hashable {
        /// Where it belongs, held by the pinned link if there is one. How, where there are several ways.
        case attached(String?)
        /// Where it belongs, but the pin of its link has gone: it stays for as long as somebody else holds the link.
        case unpinned(String?)
        /// On the interface that it was attached to, which has another name now.
        case renamed(String, String?)
        /// On an interface that is in another network namespace now, or in one that has lost its name; or on a cgroup that
        /// the unit does not have any more.
        case strayed
        /// Somewhere; the manager may not enter the network namespace to see where.
        case unseen
        case detached
    }

    /// What the hook's name stands for: an interface, a cgroup.
    enum Target: Hashable {
        case present
        /// Other programs than the root are there, and there is room for one only: their ids.
        case taken([UInt32])
        case absent
        case noNamespace
        case unseen(Errno?)
    }

    var place: Place
    var target: Target

    /// Whether packets go through the root, and nothing is to be done.
    var isInPlace: Bool {
        switch place {
        case .attached, .unpinned, .unseen: true
        case .renamed: !isPresent
        case .strayed, .detached: false
        }
    }

    /// Whether the target must come before anything can be done. From an interface that was moved away the root is taken
    /// off first; in a namespace that has but lost its name it stays.
    var isWaiting: Bool {
        switch (place, target) {
        case (.strayed, .absent): false
        case (_, .absent), (_, .noNamespace): !isInPlace
        default: false
        }
    }

    private var isPresent: Bool {
        switch target {
        case .present, .taken: true
        case .absent, .noNamespace, .unseen: false
        }
    }

    var mode: String? {
        switch place {
        case .attached(let mode), .unpinned(let mode), .renamed(_, let mode): mode
        case .strayed, .unseen, .detached: nil
        }
    }
}
