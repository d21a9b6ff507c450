// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Glibc
internal import SluiceAPI
internal import SluiceObjects
internal import SluiceSockets

/// One socket of a group: what was said of it when it joined, and what it is now (`struct sluice_member_seen`).
struct GroupMember {
    static let size = 72

    /// When it joined; of an accepted one, and in the next three, what was said of the listening one.
    var cookie: UInt64
    var joined: UInt64
    /// The id of the slot that its filter goes through; 0 while it joins.
    var entry: UInt32
    var byRule: Bool

    var isAccepted: Bool
    /// 0 when no process holds it any more.
    var inode: UInt64
    var netns: UInt32
    var transport: Int32
    var state: UInt8
    var local: SocketAddress

    init(_ raw: UnsafeRawBufferPointer) {
        func read<T: FixedWidthInteger>(_ offset: Int) -> T { raw.loadUnaligned(fromByteOffset: offset, as: T.self) }
        cookie = read(0)
        joined = read(8)
        entry = read(16)
        byRule = read(20) as UInt32 != 0
        isAccepted = read(24) as UInt64 != cookie
        inode = read(32)
        netns = read(40)
        transport = Int32(read(46) as UInt16)
        state = raw[50]
        let isIPv4 = Int32(read(44) as UInt16) == AF_INET
        local = SocketAddress(bytes: Array(raw[56..<(isIPv4 ? 60 : 72)]), port: read(48))
    }

    var transportName: String { SocketProtocol(number: transport)?.rawValue ?? "\(transport)" }

    /// `0.0.0.0:53/udp`.
    var title: String { "\(local)/\(transportName)" + (isAccepted ? " (accepted)" : "") }

    /// The states that all protocols share have TCP's numbers.
    var stateName: SocketState {
        if inode == 0 { return .closing }
        if isAccepted { return .accepted }
        switch state {
        case 1: return .connected
        case 10: return .listening
        default: return .open
        }
    }
}

/// Which sockets are in a group: said in the sockets' own storage (`BPF_MAP_TYPE_SK_STORAGE`), so that it lives exactly as
/// long as they do, and needs no manager. Two pins in the hook's folder: `members`, the map, which is asked by a socket's
/// descriptor, and `sockets`, the link of a program that lists them.
struct GroupMembers {
    let directory: HookDirectory

    private var map: String { "\(directory.path)/members" }
    private var lister: String { "\(directory.path)/sockets" }

    var exists: Bool { Bpffs.exists(map) && Bpffs.exists(lister) }

    /// Makes what is missing of the two. A map that is there is kept, with all that it knows.
    func make() throws(BPFError) {
        guard !exists else { return }
        let object = try BPFObject(own: .list, for: .socketMembers)
        let hasMap = Bpffs.exists(map)
        if hasMap { try object.map("sluice_members")?.reuse(BPFMap.pinned(at: map)) }
        try object.load(program: OwnProgram.list.rawValue, as: .socketMembers)
        let members = try object.loadedMap("sluice_members")
        if !hasMap { try members.pin(at: map) }
        FaultPoint.membersPinned.hit()
        try BPFLink.walking(members, by: object.program(OwnProgram.list.rawValue)).pin(inPlaceOf: lister)
    }

    /// All sockets of the group, those included that its listening ones have accepted.
    func list() throws(BPFError) -> [GroupMember] {
        guard Bpffs.exists(lister) else { return [] }
        let bytes = try BPFLink.pinned(at: lister).walk()
        return bytes.withUnsafeBytes { raw in
            stride(from: 0, through: raw.count - GroupMember.size, by: GroupMember.size).map {
                GroupMember(UnsafeRawBufferPointer(rebasing: raw[$0..<$0 + GroupMember.size]))
            }
        }
    }

    func contains(_ socket: Int32) throws(BPFError) -> Bool {
        guard Bpffs.exists(map) else { return false }
        return try BPFMap.pinned(at: map).lookup(key: bytes(of: socket)) != nil
    }

    /// The id of the slot that the sockets' filter goes through. A slot made anew has another one, and sockets with the
    /// filter of before do not reach it.
    func entry() throws(BPFError) -> UInt32 { try BPFMap.pinned(at: directory.entry).id }

    /// Makes the root a socket's filter, and the socket a member. It is noted before and confirmed after: whatever a crash
    /// leaves is found and made whole by ``renew()``.
    func add(_ socket: Int32, cookie: UInt64, byRule: Bool) throws(BPFError) {
        let members = try BPFMap.pinned(at: map)
        let root = try BPFProgram.pinned(at: directory.root)
        let entry = try entry()
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        func note(_ entry: UInt32) throws(BPFError) {
            let time = UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
            try members.update(
                key: bytes(of: socket),
                value: bytes(of: cookie) + bytes(of: time) + bytes(of: entry) + bytes(of: UInt32(byRule ? 1 : 0)))
        }
        try note(0)
        FaultPoint.memberNoted.hit()
        do throws(BPFError) {
            try SocketFilter.attach(root, to: socket)
        } catch {
            try? members.delete(key: bytes(of: socket))
            throw error
        }
        FaultPoint.memberFiltered.hit()
        try note(entry)
    }

    /// Takes the filter off a socket, and the socket out of the group.
    func remove(_ socket: Int32) throws(BPFError) {
        try SocketFilter.detach(from: socket)
        try BPFMap.pinned(at: map).delete(key: bytes(of: socket))
    }

    /// The sockets whose filter does not go through the slot as it is now.
    func stale() throws(BPFError) -> [GroupMember] {
        guard Bpffs.exists(directory.entry) else { return [] }
        let entry = try entry()
        // What was accepted while the listening one joined has said so as little as what was accepted before.
        return try list().filter { $0.entry != entry && $0.inode != 0 && !($0.entry == 0 && $0.isAccepted) }
    }

    /// Gives these sockets the filter anew, where they can be reached.
    func renew() throws(BPFError) {
        let stale = try stale()
        try reach(stale) { (member, socket) throws(BPFError) in
            // An accepted one goes on as such.
            try add(socket, cookie: member.cookie, byRule: member.byRule)
        }
    }
}

extension GroupMembers {
    /// Takes each socket from a process that holds it, one after the other.
    /// - Returns: Those for which that, or `body`, failed, and why.
    @discardableResult
    func reach(
        _ members: [GroupMember], _ body: (GroupMember, Int32) throws(BPFError) -> Void
    ) throws(BPFError) -> [(member: GroupMember, why: String)] {
        let held = members.filter { $0.inode != 0 }
        let holders = ProcessSockets.holders(of: Set(held.map(\.inode)))
        var processes: [Int32: ProcessSockets] = [:]
        var failed: [(GroupMember, String)] = []
        for member in held {
            guard let holder = holders[member.inode] else {
                failed.append((member, "no process is seen that holds it, for which it takes CAP_SYS_PTRACE"))
                continue
            }
            do {
                let process = try processes[holder.pid] ?? ProcessSockets(of: holder.pid)
                processes[holder.pid] = process
                // What was closed meanwhile needs nothing any more; what is another socket now is none of the group.
                guard let socket = try process.take(holder.descriptor), try contains(socket.raw) else { continue }
                guard !SocketFilterState.isLocked(socket.raw) else {
                    let whose = ProcessSockets.command(of: holder.pid) ?? "?"
                    failed.append((member, "process \(holder.pid) (\(whose)) has locked its filter (SO_LOCK_FILTER)"))
                    continue
                }
                try body(member, socket.raw)
            } catch {
                failed.append((member, "\(error)"))
            }
        }
        return failed
    }
}
