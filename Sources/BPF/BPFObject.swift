// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

/// A BPF object (an ELF file): opened, given its constants and map sizes, then loaded into the kernel once.
///
/// Opening and setting touch no kernel; ``load(program:as:with:companions:)`` does. After that, programs and maps are
/// taken out of it as owners of their own, and the object may go. Not thread-safe: use it on one thread.
public final class BPFObject {
    public let name: String
    let raw: OpaquePointer
    private let btf: BTF?
    private let tags: [String: [String]]
    /// All but the compiler's own maps. Kept by name, as libbpf gives a map that reuses another one that one's name.
    private let declared: [(name: String, raw: OpaquePointer)]

    /// Parses an object (`bpf_object__open_mem`).
    /// - Throws: when it is no BPF object or libbpf finds fault with it.
    public init(bytes: [UInt8], name: String) throws(BPFError) {
        LoadHook.install
        let (opened, said) = LibbpfLog.capture {
            // libbpf copies what it keeps; the name is for its messages.
            bytes.withUnsafeBytes { buffer -> OpaquePointer? in
                bpf_object__open_mem(buffer.baseAddress, buffer.count, nil)
            }
        }
        guard let opened else {
            let error = Errno.current
            let cause = said.last ?? "not a BPF object"
            throw BPFError(
                "open BPF object", "\"\(name)\"",
                cause: cause.hasSuffix("is not a proper ELF object") ? "it is not an ELF file" : cause,
                // From 4000 on they are libbpf's own, which the C library cannot tell.
                errno: error.rawValue < 4000 ? error : nil)
        }
        self.raw = opened
        self.name = name
        self.btf = bpf_object__btf(opened).map { BTF(raw: $0) }
        self.tags = btf?.declarationTags() ?? [:]
        var declared: [(name: String, raw: OpaquePointer)] = []
        var map = bpf_object__next_map(opened, nil)
        while let current = map {
            if !bpf_map__is_internal(current) { declared.append((String(cString: bpf_map__name(current)), current)) }
            map = bpf_object__next_map(opened, current)
        }
        self.declared = declared
    }

    /// Reads and parses an object file.
    public convenience init(contentsOf path: String) throws(BPFError) {
        try self.init(bytes: readFile(path), name: String(path[path.lastSlash...]))
    }

    deinit {
        bpf_object__close(raw)
    }

    /// The C names of its programs.
    public var programNames: [String] {
        var names: [String] = []
        var program = bpf_object__next_program(raw, nil)
        while let current = program {
            names.append(String(cString: bpf_program__name(current)))
            program = bpf_object__next_program(raw, current)
        }
        return names
    }

    /// Its maps, those the compiler makes for global data left out.
    public var maps: [ObjectMap] {
        declared.map { ObjectMap(raw: $0.raw, name: $0.name, tags: tags[$0.name] ?? [], btf: btf, object: self) }
    }

    /// The maps that the compiler makes for global variables: `.rodata`, `.data`, `.bss` and the like.
    public var dataSections: [ObjectMap] {
        var maps: [ObjectMap] = []
        var map = bpf_object__next_map(raw, nil)
        while let current = map {
            let section = ObjectMap(
                raw: current, name: String(cString: bpf_map__name(current)), tags: [], btf: btf, object: self)
            if section.sectionName?.hasPrefix(".") == true { maps.append(section) }
            map = bpf_object__next_map(raw, current)
        }
        return maps
    }

    public func map(_ name: String) -> ObjectMap? {
        maps.first { $0.name == name }
    }

    /// Has no other maps made than these, by name: the others must be those of programs that stay out.
    public func makeOnly(_ names: Set<String>) {
        for map in declared where !names.contains(map.name) { bpf_map__set_autocreate(map.raw, false) }
    }

    /// The names of its `const volatile` variables.
    public var constantNames: [String] {
        Array((btf?.variables(in: ".rodata") ?? [:]).keys).sorted()
    }

    /// Sets a `const volatile` variable, so that the verifier folds it and deletes what it switches off.
    /// - Parameter value: exactly as many bytes as the variable has, as they lie in memory.
    public func setConstant(_ variable: String, bytes value: [UInt8]) throws(BPFError) {
        let (target, found) = try constant(variable)
        guard value.count == found.size else {
            throw BPFError(
                "set constant", "\"\(variable)\" of \"\(name)\"",
                cause: "it is a \(found.type) of \(found.size) bytes; \(value.count) bytes were given")
        }
        value.withUnsafeBytes { target.copyMemory(from: $0.baseAddress!, byteCount: value.count) }
    }

    /// Sets a `const volatile` number, Boolean or enum of 1, 2, 4 or 8 bytes.
    /// - Throws: when the value does not fit the variable's type, by the object's BTF.
    public func setConstant(_ variable: String, to value: some FixedWidthInteger) throws(BPFError) {
        let (_, found) = try constant(variable)
        let fits =
            found.isScalar
            && (found.isSigned
                ? Int64(exactly: value).map { $0 >> (found.size * 8 - 1) == 0 || $0 >> (found.size * 8 - 1) == -1 }
                    ?? false
                : UInt64(exactly: value).map { found.size == 8 || $0 >> (found.size * 8) == 0 } ?? false)
        guard fits else {
            throw BPFError(
                "set constant", "\"\(variable)\" of \"\(name)\"", cause: "\(value) does not fit its type, \(found.type)"
            )
        }
        let memory = found.isSigned ? BPF.bytes(of: Int64(value)) : BPF.bytes(of: UInt64(value))
        try setConstant(variable, bytes: Array(memory.prefix(found.size)))
    }

    /// Sets a `const volatile` variable of any type that can be told: a number, a text, an array, a struct.
    /// - Throws: when the value does not fit the variable's type, by the object's BTF, with the place in the value.
    public func setConstant(_ variable: String, value: BTFValue) throws(BPFError) {
        _ = try constant(variable)
        guard let type = btf?.type(ofVariable: variable, in: ".rodata") else {
            throw BPFError("set constant", "\"\(variable)\" of \"\(name)\"", cause: "its type is not known")
        }
        let bytes: [UInt8]
        do {
            bytes = try type.bytes(of: value, at: variable)
        } catch {
            throw BPFError("set constant", "\"\(variable)\" of \"\(name)\"", cause: "\(error)")
        }
        try setConstant(variable, bytes: bytes)
    }

    /// The type of a `const volatile` variable; nil when there is none, or no BTF.
    public func constantType(_ variable: String) -> BTFType? {
        btf?.type(ofVariable: variable, in: ".rodata")
    }

    func constant(_ variable: String) throws(BPFError) -> (UnsafeMutableRawPointer, BTF.Variable) {
        guard let found = btf?.variables(in: ".rodata")[variable] else {
            let known = constantNames.filter { !$0.hasPrefix("sluice_") }.joined(separator: ", ")
            throw BPFError(
                "set constant", "\"\(variable)\" of \"\(name)\"",
                cause: "it has no such variable in .rodata; it has: \(known.isEmpty ? "none" : known)")
        }
        var map = bpf_object__next_map(raw, nil)
        while let current = map {
            // libbpf names the map `<object>.rodata`, cut to the kernel's 15 characters; the flag tells it from .data.
            if bpf_map__is_internal(current), String(cString: bpf_map__name(current)).hasSuffix(".rodata") {
                var size = 0
                if let start = bpf_map__initial_value(current, &size), found.offset + found.size <= size {
                    return (UnsafeMutableRawPointer(mutating: start) + found.offset, found)
                }
            }
            map = bpf_object__next_map(raw, current)
        }
        throw BPFError("set constant", "\"\(variable)\" of \"\(name)\"", cause: "its .rodata is not accessible")
    }

    /// Loads one program with its maps; the other programs of the object stay out.
    /// - Parameters:
    ///   - kind: What the program is loaded as, whatever its section says.
    ///   - helpers: programs of type `BPF_PROG_TYPE_SYSCALL` (Linux 5.14) to load with it, on the same maps; for
    ///     ``BPFProgram/run(context:)``.
    ///   - companions: other programs of that kind to load along, for a program array that the object fills itself.
    /// - Throws: with the verifier's whole log when it refuses.
    public func load(
        program name: String, as kind: ProgramKind, with helpers: [String] = [], companions: [String] = []
    ) throws(BPFError) {
        try load(name, as: kind, helpers: helpers, companions: companions) { load in load() }
    }

    /// ``load(program:as:with:companions:)``, with `load` around what libbpf does.
    func load(
        _ name: String, as kind: ProgramKind, helpers: [String] = [], companions: [String] = [],
        around load: (() -> Int32) -> Int32
    ) throws(BPFError) {
        let program = try unloaded(name)
        let helpers = try helpers.map { (helper) throws(BPFError) in try unloaded(helper) }
        let companions = try companions.map { (other) throws(BPFError) in try unloaded(other) }
        var other = bpf_object__next_program(raw, nil)
        while let current = other {
            bpf_program__set_autoload(
                current, current == program || helpers.contains(current) || companions.contains(current))
            other = bpf_object__next_program(raw, current)
        }
        // What the section name says is not trusted: all programs of an array must agree in type, attach type and
        // frags.
        for each in [program] + companions {
            bpf_program__set_type(each, bpf_prog_type(kind.type))
            bpf_program__set_expected_attach_type(each, bpf_attach_type(kind.attachType))
            bpf_program__set_flags(each, kind.flags)
        }
        for helper in helpers {
            bpf_program__set_type(helper, BPF_PROG_TYPE_SYSCALL)
            bpf_program__set_flags(helper, UInt32(BPF_F_SLEEPABLE))
        }
        // Who pins what is the loader's affair: a map that asks for a pin by its name would be shared behind its back.
        var map = bpf_object__next_map(raw, nil)
        while let current = map {
            bpf_map__set_pin_path(current, nil)
            map = bpf_object__next_map(raw, current)
        }
        let log = UnsafeMutableBufferPointer<CChar>.allocate(capacity: 1 << 20)
        defer { log.deallocate() }
        log[0] = 0
        // Used by libbpf only for a second try after a refusal; it costs nothing when the load succeeds.
        for each in [program] + helpers { bpf_program__set_log_buf(each, log.baseAddress, log.count) }
        let (result, said) = LibbpfLog.capture { load { bpf_object__load(raw) } }
        guard result == 0 else {
            let verifierLog = String(decoding: log.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw BPFError(
                "load program", "\"\(name)\" of \"\(self.name)\"",
                cause: verifierLog.isEmpty ? said.last : "refused", errno: Errno(rawValue: -result),
                verifierLog: verifierLog.isEmpty ? nil : verifierLog)
        }
    }

    private func unloaded(_ name: String) throws(BPFError) -> OpaquePointer {
        guard let program = bpf_object__find_program_by_name(raw, name) else {
            throw BPFError(
                "load program", "\"\(name)\" of \"\(self.name)\"",
                cause: "the object has no such program; it has: \(programNames.joined(separator: ", "))")
        }
        return program
    }

    /// A loaded program, as an owner of its own.
    public func program(_ name: String) throws(BPFError) -> BPFProgram {
        guard let program = bpf_object__find_program_by_name(raw, name), bpf_program__fd(program) >= 0 else {
            throw BPFError("take program", "\"\(name)\" of \"\(self.name)\"", cause: "it is not loaded")
        }
        return try BPFProgram(taking: .duplicate(bpf_program__fd(program), of: "program \"\(name)\""))
    }

    /// A loaded map, as an owner of its own.
    public func loadedMap(_ name: String) throws(BPFError) -> BPFMap {
        guard let map = map(name) else {
            throw BPFError("take map", "\"\(name)\" of \"\(self.name)\"", cause: "the object has no such map")
        }
        return try map.loaded()
    }
}

extension String {
    fileprivate var lastSlash: Index { lastIndex(of: "/").map { index(after: $0) } ?? startIndex }
}

/// Reads a whole file.
func readFile(_ path: String) throws(BPFError) -> [UInt8] {
    let fd = try OwnedFD.open(path, flags: O_RDONLY)
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = read(fd.raw, &chunk, chunk.count)
        guard count >= 0 else { throw BPFError("read", path, errno: .current) }
        if count == 0 { return bytes }
        bytes += chunk[..<count]
    }
}
