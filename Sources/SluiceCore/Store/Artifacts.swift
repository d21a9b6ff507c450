// SPDX-License-Identifier: Apache-2.0

internal import CDigest
internal import Foundation
internal import SluiceAPI

/// Content-addressed copies of plugin folders and adopted objects: the exact executable and objects every kept
/// generation was built from. A lone object is kept as a folder that holds nothing else.
struct Artifacts {
    let folder: String
    /// Digests of folders already hashed, by what would differ if a file in them did.
    private var known: [String: String] = [:]

    init(folder: String) throws {
        self.folder = folder
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    func path(_ digest: String) -> String { "\(folder)/\(digest)" }

    /// The digest of a folder, or of a lone file: the SHA-256 of its files' names and SHA-256es, in order of name.
    mutating func digest(of source: String) throws -> String {
        let names = try files(in: source)
        let stamp = try names.map { name, path -> String in
            let attributes = try FileManager.default.attributesOfItem(atPath: resolved(path))
            let parts = [FileAttributeKey.systemFileNumber, .size, .modificationDate].map { "\(attributes[$0] ?? "")" }
            return ([name] + parts).joined(separator: "|")
        }.joined(separator: "\n")
        let key = "\(source)\n\(stamp)"
        if let digest = known[key] { return digest }
        let list = try names.map { "\(try Self.digest(file: $1))  \($0)\n" }.joined()
        let digest = Self.digest(Array(list.utf8))
        known[key] = digest
        return digest
    }

    /// A digest by what the files are now, whatever their dates say.
    func reread(_ source: String) throws -> String {
        var fresh = self
        fresh.known = [:]
        return try fresh.digest(of: source)
    }

    /// Makes sure that `digest` is kept, copying it from `source` if it is not. Whole or not at all, and on the disk: a
    /// copy is made beside its place, written out and renamed into it. A chain comes back after a power cut from
    /// nothing else.
    mutating func keep(_ digest: String, from source: String) throws {
        let target = path(digest)
        if FileManager.default.fileExists(atPath: target) { return }
        let building = "\(folder)/.building-\(digest)"
        try? FileManager.default.removeItem(atPath: building)
        try FileManager.default.createDirectory(atPath: building, withIntermediateDirectories: false)
        for (name, path) in try files(in: source) {
            // Of a link what it leads to: the copy must not change when that does.
            try FileManager.default.copyItem(atPath: resolved(path), toPath: "\(building)/\(name)")
            try writeOut("\(building)/\(name)")
        }
        try writeOut(building)
        guard try isPlain(building), try self.digest(of: building) == digest else {
            try? FileManager.default.removeItem(atPath: building)
            throw APIErrorBody.conflict("the files in \(source) changed while they were read; try again")
        }
        guard rename(building, target) == 0 else {
            throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: target])
        }
        try writeOut(folder)
    }

    /// Whether all in a folder is regular files, and no link was put there between a look and the copy.
    private func isPlain(_ folder: String) throws -> Bool {
        try FileManager.default.contentsOfDirectory(atPath: folder).allSatisfy { name in
            try FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")[.type] as? FileAttributeType
                == .typeRegular
        }
    }

    /// Puts a file or a folder on the disk (`fsync`).
    private func writeOut(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        defer { if descriptor >= 0 { close(descriptor) } }
        guard descriptor >= 0, fsync(descriptor) == 0 else {
            throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: path])
        }
    }

    /// Removes what no generation needs, and half-made copies; says what.
    func collect(inUse: Set<String>) throws -> [String] {
        var removed: [String] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() where !inUse.contains(name) {
            try FileManager.default.removeItem(atPath: path(name))
            removed.append("artifact \(name)")
        }
        return removed
    }

    private func resolved(_ path: String) -> String {
        URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    }

    /// A folder's regular files and the links to such, by name; to read a pipe would wait without end. Or the one file.
    private func files(in source: String) throws -> [(name: String, path: String)] {
        if Self.type(source) == S_IFREG { return [((source as NSString).lastPathComponent, source)] }
        return try FileManager.default.contentsOfDirectory(atPath: source).sorted()
            .map { ($0, "\(source)/\($0)") }.filter { Self.type($0.1) == S_IFREG }
    }

    private static func type(_ path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
    }

    /// SHA256_DIGEST_STRING_LENGTH: 32 bytes in hexadecimal, and the end.
    private static let textLength = 65

    private static func digest(_ bytes: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: Self.textLength)
        return SHA256Data(bytes, bytes.count, &text).map { String(cString: $0) }!
    }

    private static func digest(file: String) throws -> String {
        var text = [CChar](repeating: 0, count: Self.textLength)
        guard let digest = SHA256File(file, &text) else {
            throw CocoaError(.fileReadUnknown, userInfo: [NSFilePathErrorKey: file])
        }
        return String(cString: digest)
    }
}
