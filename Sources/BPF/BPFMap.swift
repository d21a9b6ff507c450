// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

/// The type of a map, by the kernel's number (`enum bpf_map_type`).
public struct MapType: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let hash = MapType(rawValue: BPF_MAP_TYPE_HASH.rawValue)
    public static let array = MapType(rawValue: BPF_MAP_TYPE_ARRAY.rawValue)
    public static let programArray = MapType(rawValue: BPF_MAP_TYPE_PROG_ARRAY.rawValue)
    public static let perCPUHash = MapType(rawValue: BPF_MAP_TYPE_PERCPU_HASH.rawValue)
    public static let perCPUArray = MapType(rawValue: BPF_MAP_TYPE_PERCPU_ARRAY.rawValue)
    public static let lruHash = MapType(rawValue: BPF_MAP_TYPE_LRU_HASH.rawValue)
    public static let lruPerCPUHash = MapType(rawValue: BPF_MAP_TYPE_LRU_PERCPU_HASH.rawValue)
    public static let lpmTrie = MapType(rawValue: BPF_MAP_TYPE_LPM_TRIE.rawValue)
    public static let ringBuffer = MapType(rawValue: BPF_MAP_TYPE_RINGBUF.rawValue)

    /// Whether each CPU has its own value.
    public var isPerCPU: Bool { [.perCPUHash, .perCPUArray, .lruPerCPUHash].contains(self) }

    /// Whether every index always has a value.
    public var isArray: Bool { [.array, .perCPUArray].contains(self) }

    /// Whether keys come and go, up to `max_entries` of them.
    public var isHash: Bool { [.hash, .perCPUHash, .lruHash, .lruPerCPUHash].contains(self) }

    /// Whether a value is a descriptor of the process that sets it: of a program, a map, a socket, a cgroup, an event.
    public var holdsDescriptors: Bool {
        [
            BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_PERF_EVENT_ARRAY, BPF_MAP_TYPE_CGROUP_ARRAY,
            BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS, BPF_MAP_TYPE_SOCKMAP, BPF_MAP_TYPE_SOCKHASH,
            BPF_MAP_TYPE_XSKMAP, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY,
        ].contains { $0.rawValue == rawValue }
    }

    /// libbpf's name: `percpu_array`.
    public var description: String {
        libbpf_bpf_map_type_str(bpf_map_type(rawValue)).map { String(cString: $0) } ?? "type \(rawValue)"
    }
}

/// A map in the kernel, held by a descriptor.
public struct BPFMap: ~Copyable, Sendable {
    public let fd: OwnedFD
    public let name: String
    public let type: MapType
    /// Sizes in bytes, as the program sees them (one CPU's value, for a per-CPU map).
    public let keySize: Int
    public let valueSize: Int
    public let maxEntries: Int
    /// The kernel's id: for output only, it changes at every load.
    public let id: UInt32

    /// Takes over a descriptor of a map and asks the kernel what it is.
    public init(taking fd: consuming OwnedFD, described object: String = "map") throws(BPFError) {
        var info = bpf_map_info()
        var length = UInt32(MemoryLayout<bpf_map_info>.size)
        let result = bpf_obj_get_info_by_fd(fd.raw, &info, &length)
        guard result == 0 else { throw BPFError("read info of", object, errno: Errno(rawValue: -result)) }
        self.name = withUnsafeBytes(of: info.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        self.type = MapType(rawValue: info.type)
        self.keySize = Int(info.key_size)
        self.valueSize = Int(info.value_size)
        self.maxEntries = Int(info.max_entries)
        self.id = info.id
        self.fd = fd
    }

    /// Makes a map (`BPF_MAP_CREATE`).
    /// - Parameters:
    ///   - programReadOnly: programs may only read it (`BPF_F_RDONLY_PROG`).
    ///   - noPreallocation: memory is taken with each entry (`BPF_F_NO_PREALLOC`), as an LPM trie must.
    public static func create(
        _ name: String, type: MapType, keySize: Int, valueSize: Int, maxEntries: Int, programReadOnly: Bool = false,
        noPreallocation: Bool = false
    ) throws(BPFError) -> BPFMap {
        let raw = withOptions(bpf_map_create_opts.self, size: \.sz) { options in
            if programReadOnly { options.pointee.map_flags |= UInt32(BPF_F_RDONLY_PROG) }
            if noPreallocation { options.pointee.map_flags |= UInt32(BPF_F_NO_PREALLOC) }
            return bpf_map_create(
                bpf_map_type(type.rawValue), name, UInt32(keySize), UInt32(valueSize), UInt32(maxEntries), options)
        }
        guard raw >= 0 else { throw BPFError("create map", "\"\(name)\"", errno: Errno(rawValue: -raw)) }
        return try BPFMap(taking: OwnedFD(taking: raw), described: "map \"\(name)\"")
    }

    /// Opens a pinned map (`BPF_OBJ_GET`). Needs only the file's permission, no capability (Linux 6.1).
    public static func pinned(at path: String) throws(BPFError) -> BPFMap {
        try BPFMap(taking: Pin.open(path), described: path)
    }

    /// The map with a kernel id, nil when there is none or it may not be looked up (`BPF_MAP_GET_FD_BY_ID`; needs
    /// `CAP_SYS_ADMIN`).
    public static func withID(_ id: UInt32) -> BPFMap? {
        let raw = bpf_map_get_fd_by_id(id)
        guard raw >= 0 else { return nil }
        return try? BPFMap(taking: OwnedFD(taking: raw))
    }

    /// Sets a key's value (`BPF_MAP_UPDATE_ELEM`, `BPF_ANY`). For a per-CPU map `value` is every CPU's.
    public func update(key: [UInt8], value: [UInt8]) throws(BPFError) {
        try update(key: key, values: [[UInt8]](repeating: value, count: type.isPerCPU ? BPFMap.possibleCPUs : 1))
    }

    /// Sets a key's value, for a per-CPU map that of each possible CPU.
    public func update(key: [UInt8], values: [[UInt8]]) throws(BPFError) {
        let count = type.isPerCPU ? BPFMap.possibleCPUs : 1
        guard values.count == count, values.allSatisfy({ $0.count == valueSize }) else {
            throw BPFError("update", "map \"\(name)\"", cause: "wanted are \(count) values of \(valueSize) bytes")
        }
        try update(key: key, whole: whole(values))
    }

    /// Sets a key's value as the kernel copies it: ``wholeValueSize`` bytes.
    public func update(key: [UInt8], whole value: [UInt8]) throws(BPFError) {
        try check(key: key)
        guard value.count == wholeValueSize else {
            throw BPFError(
                "update", "map \"\(name)\"", cause: "a value has \(wholeValueSize) bytes, not \(value.count)")
        }
        let result = bpf_map_update_elem(fd.raw, key, value, UInt64(BPF_ANY))
        guard result == 0 else { throw BPFError("update", "map \"\(name)\"", errno: Errno(rawValue: -result)) }
    }

    /// The bytes of a value as the kernel copies it: for a per-CPU map those of all possible CPUs, one after the other,
    /// each rounded up to eight bytes.
    public var wholeValueSize: Int { type.isPerCPU ? stride * BPFMap.possibleCPUs : valueSize }

    /// The values of each CPU as the kernel copies them.
    public func whole(_ values: [[UInt8]]) -> [UInt8] {
        let padding = [UInt8](repeating: 0, count: type.isPerCPU ? stride - valueSize : 0)
        return values.flatMap { $0 + padding }
    }

    /// A key's value, nil when it has none. For a program array: the program's id.
    public func lookup(key: [UInt8]) throws(BPFError) -> [UInt8]? {
        guard !type.isPerCPU else {
            throw BPFError("look up in", "map \"\(name)\"", cause: "each CPU has a value of its own")
        }
        return try lookupRaw(key: key, size: valueSize)
    }

    /// A key's value on each possible CPU, for per-CPU maps; nil when it has none.
    public func lookupPerCPU(key: [UInt8]) throws(BPFError) -> [[UInt8]]? {
        let cpus = BPFMap.possibleCPUs
        guard let all = try lookupRaw(key: key, size: stride * cpus) else { return nil }
        return (0..<cpus).map { Array(all[$0 * stride..<$0 * stride + valueSize]) }
    }

    /// The value of an array of `__u64`s at an index, summed over the CPUs where each has its own.
    /// - Parameter latest: columns that are not summed; the greatest counts.
    public func counters(at index: UInt32, latest: Set<Int> = []) throws(BPFError) -> [UInt64]? {
        let key = bytes(of: index)
        let values = type.isPerCPU ? try lookupPerCPU(key: key) : try lookup(key: key).map { [$0] }
        guard let values else { return nil }
        var sums = [UInt64](repeating: 0, count: valueSize / 8)
        for value in values {
            value.withUnsafeBytes { raw in
                for column in sums.indices {
                    let value = raw.loadUnaligned(fromByteOffset: column * 8, as: UInt64.self)
                    sums[column] = latest.contains(column) ? max(sums[column], value) : sums[column] &+ value
                }
            }
        }
        return sums
    }

    /// Removes a key; quietly when it has none.
    public func delete(key: [UInt8]) throws(BPFError) {
        try check(key: key)
        let result = bpf_map_delete_elem(fd.raw, key)
        guard result == 0 || result == -ENOENT else {
            throw BPFError("delete from", "map \"\(name)\"", errno: Errno(rawValue: -result))
        }
    }

    /// The key after `key`, or the first one; nil at the end (`BPF_MAP_GET_NEXT_KEY`).
    public func key(after key: [UInt8]?) throws(BPFError) -> [UInt8]? {
        var next = [UInt8](repeating: 0, count: keySize)
        let result = bpf_map_get_next_key(fd.raw, key, &next)
        if result == -ENOENT { return nil }
        guard result == 0 else { throw BPFError("walk", "map \"\(name)\"", errno: Errno(rawValue: -result)) }
        return next
    }

    /// How many keys it has, counted up to a bound. Of a map in use a number that was true about then.
    public func count(upTo bound: Int) throws(BPFError) -> Int {
        var (key, next) = ([UInt8](repeating: 0, count: keySize), [UInt8](repeating: 0, count: keySize))
        var count = 0
        // A key that goes meanwhile sends the walk back to the beginning.
        while count < min(bound, maxEntries) {
            let result = bpf_map_get_next_key(fd.raw, count == 0 ? nil : key, &next)
            if result == -ENOENT { break }
            guard result == 0 else { throw BPFError("walk", "map \"\(name)\"", errno: Errno(rawValue: -result)) }
            swap(&key, &next)
            count += 1
        }
        return count
    }

    /// Ends all change by user space, for good (`BPF_MAP_FREEZE`).
    public func freeze() throws(BPFError) {
        let result = bpf_map_freeze(fd.raw)
        guard result == 0 else { throw BPFError("freeze", "map \"\(name)\"", errno: Errno(rawValue: -result)) }
    }

    /// Pins it (`BPF_OBJ_PIN`); the name may hold no dot.
    public func pin(at path: String) throws(BPFError) {
        try Pin.create(fd.raw, at: path)
    }

    /// How many CPUs the kernel may ever have (`libbpf_num_possible_cpus`).
    public static let possibleCPUs = max(1, Int(libbpf_num_possible_cpus()))

    /// The bytes from one CPU's value to the next in what the kernel copies.
    var stride: Int { (valueSize + 7) & ~7 }

    private func check(key: [UInt8]) throws(BPFError) {
        guard key.count == keySize else {
            throw BPFError("use", "map \"\(name)\"", cause: "a key has \(keySize) bytes, not \(key.count)")
        }
    }

    private func lookupRaw(key: [UInt8], size: Int) throws(BPFError) -> [UInt8]? {
        try check(key: key)
        var value = [UInt8](repeating: 0, count: size)
        let result = bpf_map_lookup_elem(fd.raw, key, &value)
        if result == -ENOENT { return nil }
        guard result == 0 else { throw BPFError("look up in", "map \"\(name)\"", errno: Errno(rawValue: -result)) }
        return value
    }
}

/// An integer as it lies in memory.
public func bytes<T: FixedWidthInteger>(of value: T) -> [UInt8] {
    withUnsafeBytes(of: value) { Array($0) }
}
