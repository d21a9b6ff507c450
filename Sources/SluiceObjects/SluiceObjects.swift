// SPDX-License-Identifier: Apache-2.0

public import BPF
internal import Foundation

/// A program that the manager itself loads, by its C name.
public enum OwnProgram: String, Sendable {
    /// What is attached to a hook (bpf/SluiceObjects/root.h).
    case root = "sluice_root"
    /// What divides the traffic while a canary is on; of hooks whose packets belong to flows (splitter.h).
    case splitter = "sluice_splitter"
    /// The stage that an adopted object's program is woven into (adopt.h); the second for a program that is called.
    case adopt = "sluice_adopt"
    case adoptCalled = "sluice_adopt_called"
    /// Lists the sockets of a group (socket_members.bpf.c).
    case list = "sluice_list"

    /// The maps that it uses.
    fileprivate var maps: Set<String> {
        switch self {
        case .root: ["sluice_entry", "sluice_root_counters"]
        case .splitter: ["sluice_sides", "sluice_step", "sluice_counts"]
        case .adopt, .adoptCalled: ["sluice_chain", "sluice_counters"]
        case .list: ["sluice_members"]
        }
    }
}

extension BPFObject {
    /// The manager's own object for hooks of a kind, of which one program is to be loaded. It is embedded, so that it is
    /// always the one that the manager was built with.
    public convenience init(own program: OwnProgram, for kind: ProgramKind) throws(BPFError) {
        guard let bytes = embedded[kind.family] else {
            throw BPFError("load", "\(program.rawValue)", cause: "no chain can be at a hook of kind \(kind.family)")
        }
        try self.init(bytes: bytes, name: "sluice_\(kind.family).bpf.o")
        makeOnly(program.maps)
    }
}

/// By family of the program's kind: bpf/SluiceObjects/<family>.bpf.c.
private let embedded: [String: [UInt8]] = [
    "xdp": xdpObject, "tc": tcObject, "cgroup_skb": cgroupSkbObject, "cgroup_sock_addr": cgroupSockAddrObject,
    "cgroup_sock": cgroupSockObject, "sockops": sockopsObject, "socket_filter": socketFilterObject,
    "socket_members": socketMembersObject,
].mapValues { [UInt8](Data(base64Encoded: $0)!) }
