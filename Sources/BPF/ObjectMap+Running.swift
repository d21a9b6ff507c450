// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

extension ObjectMap {
    /// Whether a map in the kernel is one that was made of this declaration: its name, type, flags and sizes, and the
    /// layout of keys and values where the kernel's map has types. The number of entries is for its loader to set.
    /// Reading its types needs `CAP_SYS_ADMIN`.
    public func describes(_ map: borrowing BPFMap) throws(BPFError) -> Bool {
        // The kernel keeps 15 characters of a name.
        guard String(name.prefix(15)) == map.name, type == map.type, keySize == map.keySize, valueSize == map.valueSize
        else { return false }
        var info = bpf_map_info()
        var length = UInt32(MemoryLayout<bpf_map_info>.size)
        let result = bpf_obj_get_info_by_fd(map.fd.raw, &info, &length)
        guard result == 0 else { throw BPFError("read info of", "map \"\(name)\"", errno: Errno(rawValue: -result)) }
        guard info.map_flags == bpf_map__map_flags(raw) else { return false }
        guard info.btf_id != 0, let btf else { return true }
        guard let kernel = btf__load_from_kernel_by_id(info.btf_id) else {
            throw BPFError("read the types of", "map \"\(name)\"", errno: .current)
        }
        defer { btf__free(kernel) }
        let running = BTF(raw: kernel)
        return [
            (bpf_map__btf_key_type_id(raw), info.btf_key_type_id),
            (bpf_map__btf_value_type_id(raw), info.btf_value_type_id),
        ].allSatisfy { btf.layout($0) == running.layout($1) }
    }
}

extension BPFObject {
    /// The constants that have another value in a loaded `.rodata` than in the object, by C name.
    public func constants(changedIn section: [UInt8]) throws(BPFError) -> [String: BTFValue] {
        var changed: [String: BTFValue] = [:]
        for name in constantNames {
            let (own, variable) = try constant(name)
            guard variable.offset + variable.size <= section.count else { continue }
            let running = Array(section[variable.offset..<variable.offset + variable.size])
            let initial = Array(UnsafeRawBufferPointer(start: own, count: variable.size))
            if running != initial { changed[name] = constantType(name)?.value(of: running) }
        }
        return changed
    }
}
