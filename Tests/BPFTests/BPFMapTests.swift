// SPDX-License-Identifier: Apache-2.0

import BPF
import StageTesting
import Testing

extension BPFTests {
    @Suite struct BPFMapTests {
        private static let zero = bytes(of: UInt32(0))

        @Test func aHashKeepsWhatItIsGiven() throws {
            let map = try BPFMap.create("t_hash", type: .hash, keySize: 4, valueSize: 8, maxEntries: 4)
            #expect(map.name == "t_hash" && map.type == .hash && map.maxEntries == 4)
            #expect(try map.lookup(key: Self.zero) == nil)
            try map.update(key: Self.zero, value: bytes(of: UInt64(7)))
            #expect(try map.lookup(key: Self.zero) == bytes(of: UInt64(7)))
            #expect(try map.key(after: nil) == Self.zero)
            #expect(try map.key(after: Self.zero) == nil)
            try map.delete(key: Self.zero)
            try map.delete(key: Self.zero)
            #expect(try map.lookup(key: Self.zero) == nil)
        }

        @Test func sizesAreChecked() throws {
            let map = try BPFMap.create("t_hash", type: .hash, keySize: 4, valueSize: 8, maxEntries: 4)
            #expect(throws: BPFError.self) { try map.lookup(key: [1]) }
            #expect(throws: BPFError.self) { try map.update(key: Self.zero, value: [1]) }
        }

        @Test func perCPUValuesAreSummed() throws {
            let map = try BPFMap.create("t_percpu", type: .perCPUArray, keySize: 4, valueSize: 16, maxEntries: 2)
            try map.update(key: Self.zero, value: bytes(of: UInt64(3)) + bytes(of: UInt64(5)))
            let cpus = UInt64(BPFMap.possibleCPUs)
            #expect(try map.lookupPerCPU(key: Self.zero)?.count == BPFMap.possibleCPUs)
            // The kernel would write behind the end of one value.
            #expect(throws: BPFError.self) { try map.lookup(key: Self.zero) }
            #expect(try map.counters(at: 0) == [3 * cpus, 5 * cpus])
            #expect(try map.counters(at: 2) == nil)
        }

        @Test func aFrozenMapStaysAsItIs() throws {
            let map = try BPFMap.create("t_frozen", type: .array, keySize: 4, valueSize: 4, maxEntries: 1)
            try map.freeze()
            let error = #expect(throws: BPFError.self) { try map.update(key: Self.zero, value: Self.zero) }
            #expect(error?.errno == .notPermitted)
        }

        @Test func pinsAreNamesInABpffs() async throws {
            try await Lab.run { lab in
                #expect(Bpffs.contains(lab.bpffs) && !Bpffs.contains(lab.directory))
                let map = try BPFMap.create("t_pin", type: .array, keySize: 4, valueSize: 4, maxEntries: 1)
                try Bpffs.makeFolder("\(lab.bpffs)/a")
                try map.pin(at: "\(lab.bpffs)/a/one")
                let twice = #expect(throws: BPFError.self) { try map.pin(at: "\(lab.bpffs)/a/one") }
                #expect(twice?.errno == .exists)
                #expect(throws: BPFError.self) { try map.pin(at: "\(lab.bpffs)/a/with.dot") }
                #expect(try BPFMap.pinned(at: "\(lab.bpffs)/a/one").id == map.id)
                #expect(throws: BPFError.self) { _ = try BPFMap.pinned(at: "\(lab.bpffs)/a/none") }
                try Bpffs.rename("\(lab.bpffs)/a", to: "\(lab.bpffs)/b")
                #expect(try Bpffs.list("\(lab.bpffs)/b") == ["one"])
                try Bpffs.removeTree("\(lab.bpffs)/b")
                #expect(!Bpffs.exists("\(lab.bpffs)/b"))
                try Pin.remove("\(lab.bpffs)/b/one")
            }
        }

        @Test func aLockIsHeldOnce() async throws {
            try await Lab.run { lab in
                do {
                    let lock = try DirectoryLock(lab.bpffs)
                    let error = #expect(throws: BPFError.self) { _ = try DirectoryLock(lab.bpffs) }
                    #expect(error?.errno == .wouldBlock)
                    _ = consume lock
                }
                _ = try DirectoryLock(lab.bpffs)
            }
        }
    }
}
