// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
internal import SluiceAPI

/// A note in the kernel: a frozen map with one JSON value, which lives as long as its pin or the programs it is bound
/// to. A bpffs takes no files.
enum FrozenJSON {
    /// Puts `value` into the kernel and pins it.
    static func store(_ value: some Encodable, named name: String, at path: String) throws -> BPFMap {
        let json = [UInt8](try JSONEncoder().encode(value))
        let map = try BPFMap.create(
            name, type: .array, keySize: 4, valueSize: (json.count + 7) & ~7, maxEntries: 1, programReadOnly: true)
        // Padded with spaces, which JSON ignores.
        let padding = [UInt8](repeating: UInt8(ascii: " "), count: map.valueSize - json.count)
        try map.update(key: bytes(of: UInt32(0)), value: json + padding)
        try map.freeze()
        try map.pin(at: path)
        return map
    }

    /// Reads a pinned note.
    static func read<Value: Decodable>(_ path: String) throws -> Value {
        let map = try BPFMap.pinned(at: path)
        guard map.type == .array, map.keySize == 4, let value = try map.lookup(key: bytes(of: UInt32(0))) else {
            throw APIErrorBody.conflict("\(path) is not a manifest of Sluice's")
        }
        return try JSONDecoder().decode(Value.self, from: Data(value))
    }
}
