// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF

/// The type information of an object (BTF), as far as a manager asks it: variables, map layouts, declaration tags.
struct BTF {
    /// Owned by the object it came from.
    let raw: OpaquePointer

    /// A variable of a data section such as `.rodata`.
    struct Variable {
        var offset: Int
        var size: Int
        /// The variable's C type in words, for messages: `__u32`, `struct limit`.
        var type: String
        /// Whether an integer, a Boolean or an enum: what a number can be assigned to.
        var isScalar: Bool
        var isSigned: Bool
    }

    func variables(in section: String) -> [String: Variable] {
        let sectionID = btf__find_by_name_kind(raw, section, 15)  // BTF_KIND_DATASEC, which two headers define
        guard sectionID > 0, let type = btf__type_by_id(raw, UInt32(sectionID)) else { return [:] }
        var result: [String: Variable] = [:]
        let infos = btf_var_secinfos(type)!
        for index in 0..<Int(btf_vlen(type)) {
            guard let variable = btf__type_by_id(raw, infos[index].type), btf_is_var(variable) else { continue }
            let resolved = resolve(variable.pointee.type)
            result[name(variable)] = Variable(
                offset: Int(infos[index].offset), size: Int(infos[index].size), type: describe(variable.pointee.type),
                isScalar: resolved.map { btf_is_int($0) || btf_is_any_enum($0) } ?? false,
                isSigned: resolved.map { btf_is_int($0) && btf_int_encoding($0) & UInt8(BTF_INT_SIGNED) != 0 } ?? false)
        }
        return result
    }

    /// The declaration tags (`btf_decl_tag`) of each variable that has any.
    func declarationTags() -> [String: [String]] {
        var result: [String: [String]] = [:]
        for id in 1..<max(1, btf__type_cnt(raw)) {
            guard let tag = btf__type_by_id(raw, id), btf_is_decl_tag(tag),
                let target = btf__type_by_id(raw, tag.pointee.type), btf_is_var(target)
            else { continue }
            result[name(target), default: []].append(name(tag))
        }
        return result
    }

    /// A type's layout in one normalised line: names, offsets and sizes of all that is in it, typedefs and
    /// qualifiers left out. Two types with the same line hold the same data.
    func layout(_ id: UInt32, depth: Int = 0) -> String {
        guard depth < 16, let type = resolve(id) else { return "void" }
        let size = type.pointee.size
        if btf_is_int(type) {
            let encoding = btf_int_encoding(type)
            let kind = encoding & UInt8(BTF_INT_BOOL) != 0 ? "bool" : encoding & UInt8(BTF_INT_SIGNED) != 0 ? "s" : "u"
            return "\(kind)\(btf_int_bits(type))"
        }
        if btf_is_composite(type) {
            let members = btf_members(type)!
            let fields = (0..<UInt32(btf_vlen(type))).map { index in
                let member = members[Int(index)]
                let bits = btf_member_bitfield_size(type, index)
                return "\(string(member.name_off))@\(btf_member_bit_offset(type, index))\(bits > 0 ? ":\(bits)" : "") "
                    + layout(member.type, depth: depth + 1)
            }
            return "\(btf_is_union(type) ? "union" : "struct")[\(size)]{\(fields.joined(separator: "; "))}"
        }
        if btf_is_array(type) {
            let array = btf_array(type)!.pointee
            return "\(layout(array.type, depth: depth + 1))[\(array.nelems)]"
        }
        if btf_is_any_enum(type) { return "enum[\(size)]" }
        if btf_is_ptr(type) { return "pointer" }
        return "kind\(btf_kind(type))[\(size)]"
    }

    func name(_ type: UnsafePointer<btf_type>) -> String { string(type.pointee.name_off) }

    func string(_ offset: UInt32) -> String {
        btf__name_by_offset(raw, offset).map { String(cString: $0) } ?? ""
    }

    /// What a type is behind typedefs and qualifiers.
    private func resolve(_ id: UInt32) -> UnsafePointer<btf_type>? {
        var type = btf__type_by_id(raw, id)
        for _ in 0..<32 {
            guard let current = type else { return nil }
            guard btf_is_mod(current) || btf_is_typedef(current) else { return btf_is_void(current) ? nil : current }
            type = btf__type_by_id(raw, current.pointee.type)
        }
        return nil
    }

    private func describe(_ id: UInt32) -> String {
        var type = btf__type_by_id(raw, id)
        while let current = type, btf_is_mod(current) { type = btf__type_by_id(raw, current.pointee.type) }
        guard let current = type else { return "void" }
        let name = name(current)
        if btf_is_struct(current) { return "struct \(name)" }
        if btf_is_array(current), let array = btf_array(current) {
            return "\(describe(array.pointee.type))[\(array.pointee.nelems)]"
        }
        return name.isEmpty ? layout(id) : name
    }
}

/// FNV-1a, 64 bits, in 16 hexadecimal digits: a short, stable name for a layout.
func fingerprint(_ text: String) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
