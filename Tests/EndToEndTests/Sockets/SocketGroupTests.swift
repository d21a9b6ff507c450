// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import SluiceSockets
import StageTesting
import Testing

extension EndToEnd {
    @Suite struct SocketGroupTests {
        @Test func aThousandSocketsAndOneFlip() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                let site = sockets.site
                try site.apply(SocketSite.gate(true))
                let service = try sockets.service(["udp 10.9.0.1 5300 share times=1000"])
                let before = try sockets.descriptors()
                try sockets.mustAdd(service, "10.9.0.1:5300/udp", "--all")
                let members = try sockets.members()
                #expect(Set(members.map(\.cookie)) == Set(service.cookies) && members.count == 1000)
                #expect(try site.status("socket-filter:dns").sockets == 1000)
                let sizes = Array(1...20)
                #expect(try sockets.echoed("10.9.0.1", port: 5300, sizes: sizes) == sizes)
                try site.apply(SocketSite.gate(false))
                #expect(try sockets.echoed("10.9.0.1", port: 5300, sizes: [1, 2, 3, 4]).isEmpty)
                try site.must("rollback", "socket-filter:dns")
                #expect(try sockets.echoed("10.9.0.1", port: 5300, sizes: sizes) == sizes)
                // No socket was touched: they are those they were, since when they were.
                #expect(
                    try sockets.members().sorted { $0.cookie < $1.cookie } == members.sorted { $0.cookie < $1.cookie })
                try site.must("detach", "socket-filter:dns")
                let free = try ProcessSockets(of: service.pid).matching(
                    LocalPattern(parsing: "10.9.0.1:5300/udp"), all: true)
                #expect(free.count == 1000)
                for socket in free { #expect(try SocketFilterState(of: socket.raw) == SocketFilterState.none) }
                #expect(try site.pins().isEmpty)
                #expect(try sockets.descriptors() <= before)
            }
        }

        @Test func aGroupOutlivesTheManagerAndItsSockets() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                let site = sockets.site
                try site.apply(SocketSite.gate(false))
                let service = try sockets.service(["udp 10.9.0.1 5300"])
                try sockets.mustAdd(service, "10.9.0.1:5300/udp")
                site.killDaemon()
                #expect(try sockets.echoed("10.9.0.1", port: 5300).isEmpty)
                try site.start()
                #expect(try sockets.members().map(\.cookie) == service.cookies)
                try site.apply(SocketSite.gate(true))
                #expect(try sockets.echoed("10.9.0.1", port: 5300) == [10])
                service.process.kill()
                try lab.until("the group is empty") { try sockets.members().isEmpty }
                let next = try sockets.service(["udp 10.9.0.1 5300"])
                try site.apply(SocketSite.gate(false))
                try sockets.mustAdd(next, "10.9.0.1:5300/udp")
                #expect(try sockets.echoed("10.9.0.1", port: 5300).isEmpty)
            }
        }

        /// A slot that is made anew is another one: the sockets get the filter anew.
        @Test func socketsFollowASlotThatWasLost() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                let site = sockets.site
                try site.apply(SocketSite.gate(false))
                let service = try sockets.service(["udp 10.9.0.1 5300"])
                try sockets.mustAdd(service, "10.9.0.1:5300/udp")
                for pin in ["entry", "root"] { try lab.check(["rm", "\(site.bpffs)/socket-filter:dns/\(pin)"]) }
                #expect(try sockets.echoed("10.9.0.1", port: 5300) == [10], "the slot empties with its last pin")
                _ = try site.ctl("doctor", "--repair")
                #expect(try sockets.echoed("10.9.0.1", port: 5300).isEmpty, "it drops again")
                #expect(try sockets.members().map(\.cookie) == service.cookies)
                #expect(try site.status("socket-filter:dns").state == .live)
                #expect(try site.must("doctor").contains("generation 1 is live"))
            }
        }
    }
}
