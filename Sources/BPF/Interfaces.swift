// SPDX-License-Identifier: Apache-2.0

internal import CKernel
internal import Glibc

/// The interfaces of the calling thread's network namespace.
public enum Interfaces {
    public struct Interface: Sendable, Equatable {
        /// Good for the moment only: the kernel gives an index to another interface again.
        public var index: Int
        public var name: String
        /// The XDP programs on it, whoever attached them; native first.
        public var programs: [XDP.Attached]
    }

    /// All of them (`RTM_GETLINK`). Needs no capability.
    public static func list() throws(BPFError) -> [Interface] {
        var items: UnsafeMutablePointer<ck_interface>?
        let count = ck_list_interfaces(&items)
        guard count >= 0 else { throw BPFError("list", "interfaces", errno: .current) }
        defer { free(items) }
        return UnsafeBufferPointer(start: items, count: Int(count)).map { item in
            Interface(
                index: Int(item.index), name: text(item.name),
                programs: [(item.native, XDPMode.native), (item.generic, .generic)]
                    .filter { $0.0 != 0 }.map { XDP.Attached(programID: $0.0, mode: $0.1) })
        }
    }

    /// A BPF classifier on a clsact or ingress qdisc.
    public struct Classifier: Sendable, Equatable {
        public var interface: Int
        public var isEgress: Bool
        public var priority: Int
        public var handle: Int
        /// Whether its program is asked for packets of all protocols, and what it returns is what becomes of them
        /// (`protocol all`, `direct-action`, chain 0).
        public var isDirect: Bool
        public var programID: UInt32
        /// The kernel's hash of the program's instructions, in hexadecimal.
        public var tag: String
        /// What it was called when it was attached: `object.o:[section]`, as a rule.
        public var name: String
    }

    /// All classifiers of all interfaces (`RTM_GETTFILTER`). Needs no capability.
    public static func classifiers() throws(BPFError) -> [Classifier] {
        var items: UnsafeMutablePointer<ck_filter>?
        let count = ck_list_filters(&items)
        guard count >= 0 else { throw BPFError("list", "tc classifiers", errno: .current) }
        defer { free(items) }
        return UnsafeBufferPointer(start: items, count: Int(count)).map { item in
            Classifier(
                interface: Int(item.interface), isEgress: item.egress != 0, priority: Int(item.priority),
                handle: Int(item.handle), isDirect: item.direct != 0, programID: item.id,
                tag: hexadecimal(withUnsafeBytes(of: item.tag) { Array($0) }),
                name: text(item.name))
        }
    }

    /// Whether any classifier is on an interface's clsact qdisc, of whatever kind, BPF or not.
    public static func hasClassifiers(_ interface: Int) throws(BPFError) -> Bool {
        let count = ck_count_filters(Int32(interface))
        guard count >= 0 else { throw BPFError("list tc classifiers of", "interface #\(interface)", errno: .current) }
        return count > 0
    }

    /// A queueing discipline of an interface.
    public struct Qdisc: Sendable, Equatable {
        public var kind: String
        public var handle: UInt32
        public var parent: UInt32
        /// Whether it is the one that all that leaves goes through (`TC_H_ROOT`).
        public var isRoot: Bool { parent == 0xffff_ffff }
    }

    /// The qdiscs of an interface (`RTM_GETQDISC`). Needs no capability.
    public static func qdiscs(of interface: Int) throws(BPFError) -> [Qdisc] {
        var items: UnsafeMutablePointer<ck_qdisc>?
        let count = ck_list_qdiscs(&items)
        guard count >= 0 else { throw BPFError("list", "qdiscs", errno: .current) }
        defer { free(items) }
        return UnsafeBufferPointer(start: items, count: Int(count)).filter { $0.interface == interface }
            .map { Qdisc(kind: text($0.kind), handle: $0.handle, parent: $0.parent) }
    }

    /// A program attached by tcx.
    public struct TCX: Sendable, Equatable {
        public var isEgress: Bool
        public var programID: UInt32
        /// 0 when it was attached without a link.
        public var linkID: UInt32
    }

    /// The tcx programs of an interface, in the order they run; empty before Linux 6.6, which has no tcx.
    /// - Throws: `EPERM` without `CAP_NET_ADMIN`.
    public static func tcx(of interface: Int) throws(BPFError) -> [TCX] {
        var found: [TCX] = []
        for isEgress in [false, true] {
            var items = [ck_tcx_program](repeating: .init(), count: 64)
            let count = ck_list_tcx(Int32(interface), isEgress ? 1 : 0, &items, Int32(items.count))
            guard count >= 0 else {
                let error = Errno.current
                if [.invalid, .tooBig, .noDevice].contains(error) { continue }
                throw BPFError("query tcx of", "interface #\(interface)", errno: error)
            }
            found += items.prefix(Int(count)).map { TCX(isEgress: isEgress, programID: $0.id, linkID: $0.link) }
        }
        return found
    }

    private static func text(_ characters: some Any) -> String {
        withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

/// A socket that says that an interface of its network namespace has come, gone or changed (`RTNLGRP_LINK`). It stays
/// with the namespace it was opened in, and keeps that alive: close it when the namespace's name goes.
public struct InterfaceEvents: ~Copyable, Sendable {
    /// Becomes readable, for poll(2).
    public let fd: OwnedFD

    /// Opens one in the calling thread's network namespace.
    public init() throws(BPFError) {
        let raw = ck_watch_interfaces()
        guard raw >= 0 else { throw BPFError("watch", "interfaces", errno: .current) }
        fd = OwnedFD(taking: raw)
    }

    /// Takes what has come in, lost messages included. What they say is not looked at: it is old when it is read.
    public func drain() {
        _ = ck_drain_events(fd.raw)
    }
}
