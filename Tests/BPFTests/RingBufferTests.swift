// SPDX-License-Identifier: Apache-2.0

import BPF
import StageKit
import StageTesting
import Testing

extension BPFTests {
    @Suite struct RingBufferTests {
        private static func ringing() throws -> BPFObject {
            let object = try BPFObject(contentsOf: BuildProducts.object("ringing", of: "fixture-stage"))
            try object.load(program: "ringing", as: .xdp)
            return object
        }

        private static func send(_ count: Int, _ object: borrowing BPFObject) throws {
            let packet = Packet.bytes(
                .ethernet(), .ipv4(from: "192.0.2.1", to: "192.0.2.2"), .udp(from: 1, to: 9), .payload(18))
            _ = try object.program("ringing").testRun(packet: packet, repeat: count)
        }

        private static func numbers(_ ring: borrowing RingBuffer, upTo limit: Int = .max) throws -> [UInt64] {
            var numbers: [UInt64] = []
            try ring.consume(upTo: limit) { record in
                #expect(record.count == 16)
                numbers.append(record.loadUnaligned(as: UInt64.self))
            }
            return numbers
        }

        @Test func recordsComeInOrderOnceEach() throws {
            let object = try Self.ringing()
            let ring = try RingBuffer(reading: object.loadedMap("told"))
            #expect(try Self.numbers(ring).isEmpty)
            try Self.send(5, object)
            #expect(try Self.numbers(ring, upTo: 2) == [1, 2])
            #expect(try Self.numbers(ring) == [3, 4, 5])
            // More than it holds, wrapped around its end.
            for round in 0..<3 {
                try Self.send(2000, object)
                let first = UInt64(round * 2000 + 6)
                #expect(try Self.numbers(ring) == Array(first..<first + 2000))
            }
        }

        @Test func theNextReaderGoesOn() throws {
            let object = try Self.ringing()
            try Self.send(5, object)
            do {
                let ring = try RingBuffer(reading: object.loadedMap("told"))
                #expect(try Self.numbers(ring, upTo: 3) == [1, 2, 3])
            }
            let ring = try RingBuffer(reading: object.loadedMap("told"))
            #expect(try Self.numbers(ring) == [4, 5])
        }

        @Test func anotherMapIsNoRing() throws {
            let object = try Self.ringing()
            let error = #expect(throws: BPFError.self) { _ = try RingBuffer(reading: object.loadedMap("counts")) }
            #expect(error?.description.contains("it is of type array, not a ring buffer") == true)
        }
    }
}
