// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import SluiceCore
import StageTesting
import Testing

extension EndToEnd {
    @Suite struct SocketCrashTests {
        static let points: [FaultPoint] = [.membersPinned, .memberNoted, .memberFiltered]

        @Test func theGroupIsMadeWholeWhereverTheDaemonIsKilled() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                let site = sockets.site
                let service = try sockets.service(["udp 10.9.0.1 5300"])
                site.killDaemon()
                try site.start(fault: FaultPoint.membersPinned.rawValue)
                #expect(try !site.ctl("apply", "-f", "-", input: SocketSite.watching()).succeeded)
                try site.start()
                try site.apply(SocketSite.gate(false))
                for point in [FaultPoint.memberNoted, .memberFiltered] {
                    site.killDaemon()
                    try site.start(fault: point.rawValue)
                    #expect(try !sockets.add(service, "10.9.0.1:5300/udp").succeeded)
                    // The next start finds what was begun, and finishes it.
                    try site.start()
                    #expect(try sockets.members().map(\.cookie) == service.cookies)
                    #expect(try sockets.echoed("10.9.0.1", port: 5300).isEmpty, "\(point)")
                    #expect(try site.status("socket-filter:dns").state == .live)
                    #expect(try site.must("socket", "remove", "dns", "--all").contains("1 of 1 socket left"))
                    #expect(try sockets.echoed("10.9.0.1", port: 5300) == [10])
                }
            }
        }
    }
}
