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
    /// One number: which of the shares is in force.
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
}

/// What a canary is about, kept in the kernel beside it.
struct CanaryManifest: Codable, Equatable {
    /// The generation that was live before, and has all that the candidate does not get.
    var stable: Int
    var candidate: Int
    /// The candidate's shares of the flows, in percent, a step each.
    var shares: [Double]
}
