// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import Glibc
import SluiceObjects
import StageTesting
import Testing

extension BPFTests {
    /// The map that says which sockets are in a group, on the kernel itself.
    @Suite struct SocketMembersTests {
        private static func hasCmpxchg16b() throws -> Bool {
            #if arch(x86_64)
                try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8).contains(" cx16 ")
            #else
                true
            #endif
        }

        @Test func membersLiveAsLongAsTheirSockets() async throws {
            try await Lab.run { lab in
                try lab.ip(["link set lo up"])
                let object = try BPFObject(own: .list, for: .socketMembers)
                try object.load(program: OwnProgram.list.rawValue, as: .socketMembers)
                let map = try object.loadedMap("sluice_members")
                let list = try BPFLink.walking(map, by: object.program(OwnProgram.list.rawValue))
                func cookies() throws -> [UInt64] {
                    try list.walk().withUnsafeBytes { raw in
                        #expect(raw.count % 72 == 0)
                        return stride(from: 0, to: raw.count, by: 72).map {
                            raw.loadUnaligned(fromByteOffset: $0, as: UInt64.self)
                        }
                    }.sorted()
                }
                func note(_ socket: Int32, _ cookie: UInt64) throws {
                    try map.update(key: bytes(of: socket), value: bytes(of: cookie) + [UInt8](repeating: 0, count: 16))
                }
                let sockets = (0..<500).map { index in
                    socket(
                        index % 2 == 0 ? AF_INET : AF_INET6, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue),
                        0)
                }
                // Linux 7.3 takes the memory for notes without a lock, which it can only where the processor has
                // cmpxchg16b. The emulated machines of Tests/Kernels have not: there is nothing more to see then.
                guard try Self.hasCmpxchg16b() || KernelVersion.running < "7.0" else {
                    let error = #expect(throws: BPFError.self) { try note(sockets[0], 0) }
                    #expect(error?.errno == .noMemory)
                    for socket in sockets { close(socket) }
                    return
                }
                for (index, socket) in sockets.enumerated() { try note(socket, UInt64(index)) }
                #expect(try cookies() == Array(0..<500))
                #expect(
                    try map.lookup(key: bytes(of: sockets[7]))?.prefix(8).elementsEqual(bytes(of: UInt64(7))) == true)
                for socket in sockets { close(socket) }
                try lab.until("the kernel has forgotten them") { try cookies().isEmpty }

                // What a listening socket accepts inherits it.
                let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
                let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
                defer { for socket in [listener, client] { close(socket) } }
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_port = UInt16(5300).bigEndian
                address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
                let results = withUnsafePointer(to: address) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address -> [Int32] in
                        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
                        return [bind(listener, address, size), listen(listener, 1), connect(client, address, size)]
                    }
                }
                #expect(results == [0, 0, 0])
                let before = accept(listener, nil, nil)
                #expect(try cookies().isEmpty)
                try note(listener, 5)
                let next = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
                let result = withUnsafePointer(to: address) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        connect(next, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                    }
                }
                #expect(result == 0)
                let accepted = accept(listener, nil, nil)
                defer { for socket in [before, next, accepted] { close(socket) } }
                #expect(try cookies() == [5, 5])
                #expect(try map.lookup(key: bytes(of: accepted)) != nil)
                #expect(try map.lookup(key: bytes(of: before)) == nil)
            }
        }
    }
}
