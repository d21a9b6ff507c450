// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF

extension BTF {
    /// The type with an id; nil for `void`. Never fails: what is too deep, too wide or contradicts itself becomes
    /// bytes, as the object may be anybody's.
    func type(_ id: UInt32) -> BTFType? {
        var reader = BTFTypeReader(btf: self)
        return reader.read(id, depth: 0)
    }

    /// The type of a variable of a data section such as `.rodata`.
    func type(ofVariable name: String, in section: String) -> BTFType? {
        guard case .composite(let members, _) = dataSection(section)?.kind else { return nil }
        return members.first { $0.name == name }?.type
    }

    /// A data section as the struct that its variables make up.
    func dataSection(_ name: String) -> BTFType? {
        let id = btf__find_by_name_kind(raw, name, BTFTypeReader.dataSectionKind)
        return id > 0 ? type(UInt32(id)) : nil
    }
}

private struct BTFTypeReader {
    /// BTF_KIND_DATASEC and BTF_KIND_FLOAT, which two headers define.
    static let dataSectionKind: UInt32 = 15
    static let floatKind: UInt32 = 16

    let btf: BTF
    /// How many types may still be copied: structs that hold structs multiply.
    private var budget = 20_000

    init(btf: BTF) { self.btf = btf }

    mutating func read(_ id: UInt32, depth: Int, typedef: String? = nil) -> BTFType? {
        guard let type = btf__type_by_id(btf.raw, id), !btf_is_void(type) else { return nil }
        let size = Int(btf__resolve_size(btf.raw, id))
        budget -= 1
        guard depth < 32, budget > 0 else { return .opaque(max(0, size)) }
        if btf_is_typedef(type) || btf_is_mod(type) {
            // The outermost name is the one that people know; `const` and the like say nothing about the bytes.
            let name = btf_is_typedef(type) ? typedef ?? btf.name(type) : typedef
            return read(type.pointee.type, depth: depth + 1, typedef: name)
        }
        let own = btf.name(type)
        func made(_ kind: BTFType.Kind, _ name: String) -> BTFType {
            BTFType(name: typedef ?? name, size: size, kind: kind)
        }
        if btf_is_ptr(type) { return BTFType(name: typedef ?? "pointer", size: 8, kind: .pointer) }
        if btf_is_int(type) { return integer(type, made) }
        if btf_is_any_enum(type) { return made(enumeration(type), "enum \(own)") }
        if btf_is_array(type) { return array(type, typedef, depth) }
        if btf_is_composite(type) {
            let word = btf_is_union(type) ? "union" : "struct"
            return composite(type, named: typedef ?? (own.isEmpty ? "" : "\(word) \(own)"), depth)
        }
        if UInt32(btf_kind(type)) == Self.dataSectionKind { return section(type, depth) }
        if UInt32(btf_kind(type)) == Self.floatKind, size == 4 || size == 8 { return made(.float, own) }
        return .opaque(max(0, size))
    }

    private func integer(_ type: UnsafePointer<btf_type>, _ made: (BTFType.Kind, String) -> BTFType) -> BTFType {
        let encoding = btf_int_encoding(type)
        let isSigned = encoding & UInt8(BTF_INT_SIGNED) != 0
        let size = Int(type.pointee.size)
        let name = btf.name(type)
        // What is left out: 128 bits, and bit fields as compilers wrote them long ago.
        guard Int(btf_int_bits(type)) == size * 8, btf_int_offset(type) == 0, [1, 2, 4, 8].contains(size) else {
            return .opaque(size)
        }
        let made = made(.integer(isSigned: isSigned), name)
        if ["__be16", "__be32", "__be64"].contains(made.name) {
            return BTFType(name: made.name, size: size, kind: .bigEndian)
        }
        if encoding & UInt8(BTF_INT_BOOL) != 0 { return BTFType(name: made.name, size: size, kind: .boolean) }
        if size == 1, name == "char" || encoding & UInt8(BTF_INT_CHAR) != 0 {
            return BTFType(name: made.name, size: size, kind: .character(isSigned: isSigned))
        }
        return made
    }

    private func enumeration(_ type: UnsafePointer<btf_type>) -> BTFType.Kind {
        let mask = type.pointee.size >= 8 ? UInt64.max : 1 << (UInt64(type.pointee.size) * 8) - 1
        let enumerators = (0..<Int(btf_vlen(type))).map { index in
            if btf_is_enum64(type) {
                let value = btf_enum64(type)! + index
                return BTFType.Enumerator(
                    name: btf.string(value.pointee.name_off), pattern: btf_enum64_value(value) & mask)
            }
            let value = btf_enum(type)![index]
            return BTFType.Enumerator(
                name: btf.string(value.name_off), pattern: UInt64(bitPattern: Int64(value.val)) & mask)
        }
        return .enumeration(enumerators, isSigned: btf_kflag(type))
    }

    private mutating func array(_ type: UnsafePointer<btf_type>, _ typedef: String?, _ depth: Int) -> BTFType {
        let array = btf_array(type)!.pointee
        guard let element = read(array.type, depth: depth + 1) else { return .opaque(0) }
        let (size, overflow) = element.size.multipliedReportingOverflow(by: Int(array.nelems))
        guard !overflow, size <= Int(Int32.max), element.size > 0 || array.nelems <= 1024 else { return .opaque(0) }
        return BTFType(
            name: typedef ?? "\(element.name)[\(array.nelems)]", size: size,
            kind: .array(element, count: Int(array.nelems)))
    }

    private mutating func composite(_ type: UnsafePointer<btf_type>, named name: String, _ depth: Int) -> BTFType {
        let size = Int(type.pointee.size)
        if (name == "struct in_addr" && size == 4) || (name == "struct in6_addr" && size == 16) {
            return BTFType(name: name, size: size, kind: .address)
        }
        let members = btf_members(type)!
        var result: [BTFType.Member] = []
        for index in 0..<UInt32(btf_vlen(type)) {
            let member = members[Int(index)]
            let bits = Int(btf_member_bitfield_size(type, index))
            let offset = Int(btf_member_bit_offset(type, index))
            guard let inner = read(member.type, depth: depth + 1) else { return .opaque(size) }
            let whole = offset % 8 == 0 && offset / 8 + inner.size <= size
            guard bits > 0 ? bits <= 64 && offset + bits <= size * 8 : whole else { return .opaque(size) }
            let memberName = btf.string(member.name_off)
            // Padding: a bit field without a name.
            if memberName.isEmpty, inner.visibleMembers.isEmpty { continue }
            result.append(BTFType.Member(name: memberName, type: inner, bitOffset: offset, bits: bits))
        }
        return BTFType(name: name, size: size, kind: .composite(result, isUnion: btf_is_union(type)))
    }

    private mutating func section(_ type: UnsafePointer<btf_type>, _ depth: Int) -> BTFType {
        let size = Int(type.pointee.size)
        let infos = btf_var_secinfos(type)!
        var result: [BTFType.Member] = []
        for index in 0..<Int(btf_vlen(type)) {
            let info = infos[index]
            guard let variable = btf__type_by_id(btf.raw, info.type), btf_is_var(variable),
                let inner = read(variable.pointee.type, depth: depth + 1), Int(info.offset) + inner.size <= size
            else { continue }
            result.append(
                BTFType.Member(name: btf.name(variable), type: inner, bitOffset: Int(info.offset) * 8, bits: 0))
        }
        return BTFType(name: btf.name(type), size: size, kind: .composite(result, isUnion: false))
    }
}
