// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import SluiceAPI

/// `-f FILE`: a spec from a file, or from stdin.
struct SpecFile: ParsableArguments {
    @Option(
        name: .shortAndLong, help: .init("The spec, YAML; - for stdin.", valueName: "file"),
        completion: .file(extensions: ["yaml", "yml"]))
    var file: String

    func read() throws(APIErrorBody) -> String { try readText(file) }
}

/// A whole file, or all of stdin for `-`.
func readText(_ file: String) throws(APIErrorBody) -> String {
    func failure(_ why: String) -> APIErrorBody {
        APIErrorBody(code: "invalid-spec", message: "read \"\(file)\": \(why)")
    }
    let descriptor = file == "-" ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(String(cString: strerror(errno))) }
    defer { if descriptor != STDIN_FILENO { close(descriptor) } }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = Glibc.read(descriptor, &chunk, chunk.count)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw failure(String(cString: strerror(errno))) }
        if count == 0 { break }
        bytes += chunk.prefix(count)
    }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw failure("not UTF-8 text") }
    return text
}
