// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

/// The type information of a woven program: the object's, and behind it the stage's.
final class TypeMerge {
    private let raw: OpaquePointer
    private let object: String

    /// - Parameter base: the object's type information; empty when it has none.
    init(base: [UInt8], object: String) throws(BPFError) {
        guard let raw = base.isEmpty ? btf__new_empty() : btf__new(base, UInt32(base.count)) else {
            throw BPFError("read type information of", "\"\(object)\"", errno: .current)
        }
        self.raw = raw
        self.object = object
    }

    deinit { btf__free(raw) }

    /// Adds all types of another one; gives by how much their ids grew.
    func add(_ other: [UInt8]) throws(BPFError) -> UInt32 {
        let parsed = btf__new(other, UInt32(other.count))
        defer { btf__free(parsed) }
        return UInt32(try check(parsed == nil ? -errno : btf__add_btf(raw, parsed))) - 1
    }

    /// Adds a global function of the same type as another function.
    func addFunction(_ name: String, like other: UInt32) throws(BPFError) -> UInt32 {
        let type = btf__type_by_id(raw, other)?.pointee.type ?? 0
        return UInt32(try check(btf__add_func(raw, name, BTF_FUNC_GLOBAL, Int32(type))))
    }

    /// Adds a static function of which nothing is known.
    func addUntyped(_ name: String) throws(BPFError) -> UInt32 {
        let type = try check(btf__add_func_proto(raw, 0))
        return UInt32(try check(btf__add_func(raw, name, BTF_FUNC_STATIC, type)))
    }

    /// Source lines of another object, their texts copied over.
    func translate(_ lines: [ProgramCode.Line], from other: [UInt8]) throws(BPFError) -> [ProgramCode.Line] {
        let parsed = btf__new(other, UInt32(other.count))
        defer { btf__free(parsed) }
        var result: [ProgramCode.Line] = []
        for line in lines {
            let file = try check(btf__add_str(raw, btf__str_by_offset(parsed, line.file)))
            let text = try check(btf__add_str(raw, btf__str_by_offset(parsed, line.text)))
            result.append(.init(offset: line.offset, file: UInt32(file), text: UInt32(text), column: line.column))
        }
        return result
    }

    /// Puts it into the kernel (`BPF_BTF_LOAD`).
    func load() throws(BPFError) -> OwnedFD {
        let (result, said) = LibbpfLog.capture { btf__load_into_kernel(raw) }
        guard result == 0 else {
            throw BPFError(
                "load type information of", "\"\(object)\"", cause: said.last, errno: Errno(rawValue: -result))
        }
        return try .duplicate(btf__fd(raw), of: "type information of \"\(object)\"")
    }

    private func check(_ result: Int32) throws(BPFError) -> Int32 {
        guard result >= 0 else {
            throw BPFError("merge type information of", "\"\(object)\"", errno: Errno(rawValue: -result))
        }
        return result
    }
}
