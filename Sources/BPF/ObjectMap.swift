// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF

/// A map as an object declares it.
public struct ObjectMap {
    let raw: OpaquePointer
    public let name: String
    /// Its declaration tags: `sluice:state` for state that outlives generations.
    public let tags: [String]
    let btf: BTF?
    /// `raw` and `btf` are the object's: it lives as long as this value.
    let object: BPFObject

    /// The section whose variables it holds, `.bss`; nil for a map that somebody declared. libbpf calls the map by the
    /// object's name, cut short, and this.
    public var sectionName: String? {
        guard bpf_map__is_internal(raw) else { return nil }
        return name.firstIndex(of: ".").map { String(name[$0...]) } ?? name
    }

    public var type: MapType { MapType(rawValue: bpf_map__type(raw).rawValue) }
    public var keySize: Int { Int(bpf_map__key_size(raw)) }
    public var valueSize: Int { Int(bpf_map__value_size(raw)) }
    public var maxEntries: Int { Int(bpf_map__max_entries(raw)) }

    /// The type of its keys, by the object's BTF; nil for a map without keys.
    public var keyType: BTFType? {
        if keySize == 0 { return nil }
        let type = btf?.type(bpf_map__btf_key_type_id(raw))
        // An array's index is one even where the map was declared by sizes alone.
        if type == nil, [MapType.array, .perCPUArray].contains(self.type) { return .index }
        return type?.size == keySize ? type : .opaque(keySize)
    }

    /// The type of its values, one CPU's for a per-CPU map; nil for a map without values.
    public var valueType: BTFType? {
        if valueSize == 0 { return nil }
        let type = btf?.type(bpf_map__btf_value_type_id(raw))
        return type?.size == valueSize ? type : .opaque(valueSize)
    }

    /// Whether it is state: shared by generations while the schema agrees.
    public var isState: Bool { tags.contains("sluice:state") }

    /// The state map whose earlier layout this one declares (`sluice:before:<map>`); nil when it is none of that kind.
    public var predecessorOf: String? {
        let prefix = "sluice:before:"
        return tags.first { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }
    /// Whether it asks for a pin by its name (`LIBBPF_PIN_BY_NAME`): the object's own way to say that it outlives a load.
    /// To be asked before load, which takes that from it.
    public var pinsItself: Bool { bpf_map__pin_path(raw) != nil }

    /// Its type, key and value in one normalised line: all on which two programs that share it must agree.
    public var layout: String {
        let key = btf?.layout(bpf_map__btf_key_type_id(raw)) ?? "void"
        let value = btf?.layout(bpf_map__btf_value_type_id(raw)) ?? "void"
        return "\(type) \(bpf_map__map_flags(raw)) \(keySize) \(valueSize) key \(key) value \(value)"
    }

    /// A short name of the layout and the size: 16 hexadecimal digits, an underscore, the number of entries. libbpf's
    /// own reuse compares only sizes.
    /// - Parameter owner: what else must agree, such as the plugin that gives the data its meaning.
    public func schema(of owner: String) -> String { "\(layoutName(of: owner))_\(maxEntries)" }

    /// The first part of ``schema(of:)``: what maps of one layout and any size have in common.
    public func layoutName(of owner: String) -> String { fingerprint("\(owner) \(layout)") }

    /// Overrides `max_entries`.
    public func setMaxEntries(_ count: Int) throws(BPFError) {
        let result = bpf_map__set_max_entries(raw, UInt32(count))
        guard result == 0 else { throw BPFError("resize map", "\"\(name)\"", errno: Errno(rawValue: -result)) }
    }

    /// It as loaded, as an owner of its own.
    public func loaded() throws(BPFError) -> BPFMap {
        guard bpf_map__fd(raw) >= 0 else { throw BPFError("take map", "\"\(name)\"", cause: "it is not loaded") }
        return try BPFMap(taking: .duplicate(bpf_map__fd(raw), of: "map \"\(name)\""))
    }

    /// Makes the object use an existing map in its place (`bpf_map__reuse_fd`).
    public func reuse(_ map: borrowing BPFMap) throws(BPFError) {
        let result = bpf_map__reuse_fd(raw, map.fd.raw)
        guard result == 0 else { throw BPFError("reuse map", "\"\(name)\"", errno: Errno(rawValue: -result)) }
    }
}
