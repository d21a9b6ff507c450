// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

extension BPFMap {
    /// One entry, as it was when it was read.
    public struct Entry: Sendable {
        public var key: [UInt8]
        /// One value, or for a per-CPU map each possible CPU's.
        public var values: [[UInt8]]
    }

    /// At most `limit` entries, and whether there are more. Not a snapshot: of a map that programs change meanwhile, an
    /// entry may be missed or come twice.
    ///
    /// Reads many at a time (`BPF_MAP_LOOKUP_BATCH`, Linux 5.6) where the map's type can, else one by one.
    /// - Throws: when the map's type has no entries that can be read, such as a ring buffer.
    public func entries(limit: Int) throws(BPFError) -> (entries: [Entry], more: Bool) {
        guard keySize > 0, type != .ringBuffer else {
            throw BPFError("read", "map \"\(name)\"", cause: "a \(type) has no entries to look up")
        }
        var found: [Entry] = []
        if try !batches(limit: limit, { found.append($0) }) {
            found = []
            var key = try key(after: nil)
            // Who deletes meanwhile sends the walk back to the start; it must end all the same.
            for _ in 0..<maxEntries where found.count <= limit {
                guard let current = key else { break }
                let values = try type.isPerCPU ? lookupPerCPU(key: current) : lookup(key: current).map { [$0] }
                if let values { found.append(Entry(key: current, values: values)) }
                key = try self.key(after: current)
            }
        }
        let more = found.count > limit
        return (Array(found.prefix(limit)), more)
    }

    /// All entries, values as the kernel copies them (``wholeValueSize``); of an array those that are not zero.
    public func wholeEntries() throws(BPFError) -> [(key: [UInt8], value: [UInt8])] {
        var found: [(key: [UInt8], value: [UInt8])] = []
        for entry in try entries(limit: maxEntries).entries
        where !type.isArray || entry.values.contains(where: { $0.contains { $0 != 0 } }) {
            found.append((entry.key, whole(entry.values)))
        }
        return found
    }

    /// Whether a key has a value.
    public func lookupAny(key: [UInt8]) throws(BPFError) -> Bool {
        try type.isPerCPU ? lookupPerCPU(key: key) != nil : lookup(key: key) != nil
    }

    /// Whether the kernel gives many entries of this type at once.
    func readsInBatches() throws(BPFError) -> Bool { try batches(limit: 1) { _ in } }

    /// Whether nobody can change it from user space any more; nil when the kernel does not say.
    public func isFrozen() -> Bool? { described("frozen").map { $0 == "1" } }

    /// The bytes that it takes, as the kernel reckons (`memlock`); nil when it does not say.
    public func memory() -> Int? { described("memlock").flatMap { Int($0) } }

    /// What the kernel says of it in `fdinfo`.
    private func described(_ key: String) -> String? {
        guard let text = try? readFile("/proc/self/fdinfo/\(fd.raw)") else { return nil }
        return String(decoding: text, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("\(key):\t") }
            .map { String($0.dropFirst(key.count + 2)) }
    }

    /// Gives more than `limit` entries, or all; false when the kernel cannot do so for this type.
    private func batches(limit: Int, _ take: (Entry) -> Void) throws(BPFError) -> Bool {
        let size = type.isPerCPU ? stride * BPFMap.possibleCPUs : valueSize
        var capacity = max(16, min(limit + 1, 4096, (4 << 20) / (keySize + size)))
        // Where the next batch begins: a bucket's number or a key.
        var position: [UInt8]?
        var next = [UInt8](repeating: 0, count: max(4, keySize))
        var given = 0
        while given <= limit {
            var keys = [UInt8](repeating: 0, count: capacity * keySize)
            var values = [UInt8](repeating: 0, count: capacity * size)
            var count = UInt32(capacity)
            let result = bpf_map_lookup_batch(fd.raw, &position, &next, &keys, &values, &count)
            switch result {
            case 0, -ENOENT:
                for index in 0..<Int(count) {
                    let value = values[index * size..<(index + 1) * size]
                    take(
                        Entry(
                            key: Array(keys[index * keySize..<(index + 1) * keySize]),
                            values: type.isPerCPU ? split(value) : [Array(value)]))
                }
                given += Int(count)
                if result == -ENOENT { return true }
                position = next
            case -ENOSPC where capacity < maxEntries:
                capacity *= 2  // A bucket holds more than that.
            // 524: ENOTSUPP, the kernel's own
            case _ where given == 0 && [-EINVAL, -EOPNOTSUPP, -524].contains(result):
                return false
            default:
                throw BPFError("read", "map \"\(name)\"", errno: Errno(rawValue: -result))
            }
        }
        return true
    }

    private func split(_ value: ArraySlice<UInt8>) -> [[UInt8]] {
        (0..<BPFMap.possibleCPUs).map { cpu in
            Array(value.dropFirst(cpu * stride).prefix(valueSize))
        }
    }
}

private func bpf_map_lookup_batch(
    _ fd: Int32, _ position: inout [UInt8]?, _ next: inout [UInt8], _ keys: inout [UInt8], _ values: inout [UInt8],
    _ count: inout UInt32
) -> Int32 {
    if var start = position {
        return CLibBPF.bpf_map_lookup_batch(fd, &start, &next, &keys, &values, &count, nil)
    }
    return CLibBPF.bpf_map_lookup_batch(fd, nil, &next, &keys, &values, &count, nil)
}
