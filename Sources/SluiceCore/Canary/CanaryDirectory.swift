// SPDX-License-Identifier: Apache-2.0

internal import BPF

/// A canary's folder in the bpffs, `<hook>/canary`: the splitter and what it needs. It means something only while
/// `entry[0]` holds that splitter; otherwise it is what a crash left.
struct CanaryDirectory {
    let path: String

    /// The program that stands in `entry[0]`.
    var splitter: String { "\(path)/splitter" }
    /// Its program array: the first stages of the stable generation and of the candidate; frozen.
    var sides: String { "\(path)/sides" }
    /// One number: which of the shares is in force, from 0 on.
    var step: String { "\(path)/step" }
    /// The verdicts of both sides.
    var counts: String { "\(path)/counts" }
    /// A ``CanaryManifest``; frozen.
    var meta: String { "\(path)/meta" }

    var exists: Bool { Bpffs.exists(path) }

    /// Whether the program with this kernel id is the splitter.
    func isSplitter(_ id: UInt32) throws(BPFError) -> Bool {
        do throws(BPFError) {
            return try BPFProgram.pinned(at: splitter).id == id
        } catch {
            guard error.errno == .noEntry else { throw error }
            return false
        }
    }

    func manifest() throws -> CanaryManifest { try FrozenJSON.read(meta) }

    /// Which of the shares is in force, from 0 on.
    func currentStep() throws -> Int {
        let value = try BPFMap.pinned(at: step).lookup(key: bytes(of: UInt32(0))) ?? bytes(of: UInt32(0))
        return Int(value.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) })
    }

    /// Puts a step's share in force: one write.
    func enter(step number: Int) throws(BPFError) {
        try BPFMap.pinned(at: step).update(key: bytes(of: UInt32(0)), value: bytes(of: UInt32(number)))
    }

    /// Whether its own pins and slots are as they were made.
    func isWhole() -> Bool {
        guard [splitter, sides, step, counts, meta].allSatisfy(Bpffs.exists) else { return false }
        // A program array empties itself when its last pin goes.
        return [0, 1].allSatisfy { side in
            ((try? BPFMap.pinned(at: sides).lookup(key: bytes(of: UInt32(side)))) ?? nil) != nil
        }
    }
}

/// What a canary is about, kept in the kernel beside it.
struct CanaryManifest: Codable, Equatable {
    /// The generation that was live before, and has all that the candidate does not get.
    var stable: Int
    var candidate: Int
    /// The candidate's shares of the flows, in percent, a step each.
    var shares: [Double]
    /// Packets that had found an empty slot behind a stage of the stable generation when it began.
    var fallenBefore: UInt64
}
