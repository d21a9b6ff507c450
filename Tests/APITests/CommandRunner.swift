// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Runs the built sluicectl, as somebody types it.
struct CommandRunner {
    struct Outcome {
        var status: Int32
        var output: String
        var errors: String
    }

    /// The executables are beside the test bundle.
    static var sluicectl: URL {
        URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().appending(
            path: "sluicectl")
    }

    /// A file instead of a pipe for what is printed: nothing to drain while it runs.
    static func run(
        _ arguments: [String], executable: URL = sluicectl, input: String = "", socket: String? = nil,
        in directory: URL
    ) async throws -> Outcome {
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        var environment = ProcessInfo.processInfo.environment
        environment["SLUICE_SOCKET"] = socket
        environment["COLUMNS"] = "80"
        process.environment = environment
        let files = ["in", "out", "err"].map { directory.appending(path: "\(UUID().uuidString).\($0)") }
        defer { for file in files { try? FileManager.default.removeItem(at: file) } }
        try Data(input.utf8).write(to: files[0])
        for file in files[1...] { try Data().write(to: file) }
        process.standardInput = try FileHandle(forReadingFrom: files[0])
        process.standardOutput = try FileHandle(forWritingTo: files[1])
        process.standardError = try FileHandle(forWritingTo: files[2])
        let status: Int32 = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        return Outcome(
            status: status, output: try String(contentsOf: files[1], encoding: .utf8),
            errors: try String(contentsOf: files[2], encoding: .utf8))
    }
}

extension ServerFixture {
    func sluicectl(_ arguments: String..., input: String = "") async throws -> CommandRunner.Outcome {
        try await CommandRunner.run(arguments, input: input, socket: path, in: directory)
    }
}
