// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// What became of one call.
enum Outcome: Int {
    /// As without any program.
    case passed = 1
    /// Failed with EPERM.
    case refused
    /// Sent, and not taken in.
    case lost
    /// Neither: it was done, but for another port, or with a mark that nobody asked for.
    case wrong
}

/// Numbers of 64 bits in a file that others read meanwhile: how many calls, then how many of each outcome.
final class Tally {
    private let words: UnsafeMutablePointer<UInt64>

    init(at path: String) throws {
        let file = open(path, O_RDWR | O_CLOEXEC)
        guard file >= 0 else { throw CallError("open \(path)") }
        defer { close(file) }
        let size = MemoryLayout<UInt64>.stride * 8
        guard let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), memory != MAP_FAILED else {
            throw CallError("map \(path)")
        }
        words = memory.bindMemory(to: UInt64.self, capacity: 8)
    }

    var offered: UInt64 {
        get { words[0] }
        set { words[0] = newValue }
    }

    func note(_ outcome: Outcome) { words[outcome.rawValue] += 1 }
}
