// SPDX-License-Identifier: Apache-2.0

import Foundation
import StageTesting
import Testing

/// All tests of module BPF: one at a time, as root, and each must leave as many BPF descriptors open as it found.
@Suite(.serialized, .enabled(if: Lab.isAvailable, "needs root"), .noLeaks)
enum BPFTests {}

/// Fails a test that leaves a BPF descriptor open.
struct NoLeaks: TestTrait, SuiteTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        guard !test.isSuite else { return try await function() }
        let before = Self.open()
        try await function()
        let left = Self.open().subtracting(before)
        #expect(left.isEmpty, "left open: \(left.sorted())")
    }

    /// This process's descriptors of programs, maps, links and BTF.
    private static func open() -> Set<String> {
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return Set(
            numbers.compactMap { number in
                let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")
                guard let target, target.contains("bpf") || target.contains("btf") else { return nil }
                return "\(number) \(target)"
            })
    }
}

extension Trait where Self == NoLeaks {
    static var noLeaks: NoLeaks { NoLeaks() }
}
