// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

extension BPFObject {
    /// Loads the maps of a program and has the verifier look at it as it is, as
    /// ``load(program:as:with:companions:)`` does, and gives what is to be woven into a stage.
    public func loadCode(
        program name: String, as kind: ProgramKind, companions: [String] = []
    ) throws(BPFError) -> ProgramCode {
        var code: ProgramCode?
        try load(name, as: kind, companions: companions) { load in
            guard let program = bpf_object__find_program_by_name(raw, name) else { return load() }
            return LoadHook.with(
                { program, options in
                    code = self.code(program, options.pointee)
                    // What is called needs nothing to be known of its stack, and may be called by others itself.
                    if code!.tailCalls { return 0 }
                    let statistics = VerifierStatistics(program, options.pointee)
                    // Who passes under any licence need not be looked at twice, which can take a tenth of a second.
                    code!.stackSeen = statistics.stackDepth(license: "none")
                    if code!.stackSeen != nil { return WovenCode.leaveOut(program, options) }
                    code!.stackSeen = statistics.stackDepth(license: "GPL")
                    return 0
                }, for: program, load)
        }
        guard let code else {
            throw BPFError("take code of", "\"\(name)\"", cause: "its section is none that this hook knows")
        }
        return code
    }

    /// Loads one of our own programs with an adopted one in the place of its body. The object of the adopted one
    /// must still live.
    /// - Parameters:
    ///   - adopted: the adopted program's C name.
    ///   - called: whether it becomes a function that the stage calls, not a part of the stage: 9 ns dearer where the
    ///     kernel guards returns, but nothing needs to be known of its stack, and its own tail calls come back.
    public func load(
        program name: String, as kind: ProgramKind, around code: ProgramCode, named adopted: String, called: Bool
    ) throws(BPFError) {
        var failure: BPFError?
        var woven: WovenCode?
        do throws(BPFError) {
            try load(name, as: kind) { load in
                guard let program = bpf_object__find_program_by_name(raw, name) else { return load() }
                return LoadHook.with(
                    { program, options in
                        do throws(BPFError) {
                            let stage = self.code(program, options.pointee)
                            woven = try Weaver(
                                stage: stage, program: code, name: adopted, form: called ? .call : .inline
                            ).weave()
                            return woven!.replace(program, options)
                        } catch {
                            failure = error
                            return -EINVAL
                        }
                    }, for: program, load)
            }
        } catch {
            throw failure ?? error
        }
        withExtendedLifetime(woven) {}
    }

    private func code(_ program: OpaquePointer, _ options: bpf_prog_load_opts) -> ProgramCode {
        var size: UInt32 = 0
        let types = options.prog_btf_fd == 0 ? nil : bpf_object__btf(raw).flatMap { btf__raw_data($0, &size) }
        return ProgramCode(program, options, btf: Array(UnsafeRawBufferPointer(start: types, count: Int(size))))
    }

    /// A program as the object declares it.
    public struct Declaration: Sendable {
        public var name: String
        /// The ELF section, which by libbpf's convention names the hook.
        public var section: String
    }

    /// The programs to load along with any of its own: a program array that the object fills itself needs those that it
    /// is filled with.
    public func companions(of kind: ProgramKind) -> [String] {
        maps.contains { $0.type == .programArray } ? declarations.filter { $0.fits(kind) }.map(\.name) : []
    }

    public var declarations: [Declaration] {
        var result: [Declaration] = []
        var program = bpf_object__next_program(raw, nil)
        while let current = program {
            result.append(
                Declaration(
                    name: String(cString: bpf_program__name(current)),
                    section: String(cString: bpf_program__section_name(current))))
            program = bpf_object__next_program(raw, current)
        }
        return result
    }
}
