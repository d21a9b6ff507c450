// SPDX-License-Identifier: Apache-2.0

import BPF
import StageTesting
import Testing

extension BPFTests {
    @Suite struct XDPTests {
        private static func noop(frags: Bool = true) throws -> BPFProgram {
            let object = try BPFObject(contentsOf: BuildProducts.object("noop", of: "noop"))
            try object.load(program: "noop", as: .xdp.taking(frags: frags))
            return try object.program("noop")
        }

        @Test func aLinkHoldsUntilItGoes() async throws {
            try await Lab.run { lab in
                try lab.addVeth("x0", "x1")
                let interface = try #require(XDP.interfaceIndex("x0"))
                #expect(XDP.interfaceIndex("none0") == nil)
                #expect(try XDP.attached(to: interface).isEmpty)
                let program = try Self.noop()
                for mode in XDPMode.allCases {
                    let link = try XDP.attach(program, to: interface, mode: mode)
                    #expect(try XDP.attached(to: interface).map(\.programID) == [program.id])
                    #expect(try XDP.attached(to: interface).map(\.mode) == [mode])
                    #expect(try link.info().programID == program.id)
                    #expect(try link.info().interface == interface)
                    let busy = #expect(throws: BPFError.self) { _ = try XDP.attach(program, to: interface, mode: mode) }
                    #expect(busy?.errno == .busy)
                    let found = try BPFLink.find(program: program.id, interface: interface)?.fd.raw
                    #expect(found != nil)
                    try link.detach()
                    #expect(try XDP.attached(to: interface).isEmpty)
                }
            }
        }

        @Test func aProgramWithoutALinkIsRemovedOnlyWhenNamed() async throws {
            try await Lab.run { lab in
                try lab.addVeth("x0", "x1")
                let object = BuildProducts.object("noop", of: "noop")
                try lab.check(["ip", "link", "set", "dev", "x0", "xdpdrv", "object", object, "section", "xdp"])
                let interface = XDP.interfaceIndex("x0")!
                let attached = try XDP.attached(to: interface)
                #expect(attached.count == 1)
                let link = try BPFLink.find(program: attached[0].programID, interface: interface)?.fd.raw
                #expect(link == nil)
                try XDP.remove(attached[0].programID, mode: attached[0].mode, from: interface)
                #expect(try XDP.attached(to: interface).isEmpty)
            }
        }

        @Test func bigFramesTakeFrags() async throws {
            try await Lab.run { lab in
                try lab.addVeth("x0", "x1", mtu: 9000)
                let interface = XDP.interfaceIndex("x0")!
                let error = #expect(throws: BPFError.self) {
                    _ = try XDP.attach(Self.noop(frags: false), to: interface, mode: .native)
                }
                #expect(error?.errno == .range)
                _ = try XDP.attach(Self.noop(), to: interface, mode: .native)
            }
        }

        @Test func aNamespaceIsEnteredAndLeft() async throws {
            try await Lab.run { lab in
                try lab.addNamespace("other")
                try lab.addVeth("x0", VethEnd("x1", netns: "other"))
                #expect(XDP.interfaceIndex("x1") == nil)
                let inside = try inNetworkNamespace("/run/netns/other") { () throws(BPFError) in
                    XDP.interfaceIndex("x1")
                }
                #expect(inside != nil)
                #expect(XDP.interfaceIndex("x0") != nil)
                #expect(throws: BPFError.self) { try inNetworkNamespace("/run/netns/none") { () throws(BPFError) in } }
            }
        }
    }
}
