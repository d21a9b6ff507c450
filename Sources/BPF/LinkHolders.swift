// SPDX-License-Identifier: Apache-2.0

internal import Glibc

extension BPFLink {
    /// Who keeps an attachment of a program alive, for people to read: `process 7 (katran)`, `pin /sys/fs/bpf/x`. Only
    /// what may be seen: other users' processes need `CAP_SYS_PTRACE`.
    public static func holders(of program: UInt32) -> [String] {
        processes(holding: program) + mounts().flatMap { pins(of: program, below: $0, depth: 0) }
    }

    private static func processes(holding program: UInt32) -> [String] {
        let pids = (try? Bpffs.list("/proc")) ?? []
        return pids.filter { Int($0) != nil }.compactMap { pid in
            let descriptors = (try? Bpffs.list("/proc/\(pid)/fdinfo")) ?? []
            let holds = descriptors.contains { number in
                guard isLink("/proc/\(pid)/fd/\(number)"), let info = text("/proc/\(pid)/fdinfo/\(number)") else {
                    return false
                }
                return info.split(separator: "\n").contains("prog_id:\t\(program)")
            }
            let name = text("/proc/\(pid)/comm")?.split(separator: "\n").first.map { " (\($0))" } ?? ""
            return holds ? "process \(pid)\(name)" : nil
        }
    }

    private static func pins(of program: UInt32, below folder: String, depth: Int) -> [String] {
        guard depth < 8 else { return [] }
        return ((try? Bpffs.list(folder)) ?? []).flatMap { name -> [String] in
            let path = "\(folder)/\(name)"
            guard let fd = try? Pin.open(path) else { return pins(of: program, below: path, depth: depth + 1) }
            guard isLink("/proc/self/fd/\(fd.raw)") else { return [] }
            return (try? BPFLink(taking: fd).info().programID) == program ? ["pin \(path)"] : []
        }
    }

    private static func mounts() -> [String] {
        var found: [String] = []
        for line in text("/proc/self/mounts")?.split(separator: "\n") ?? [] {
            let words = line.split(separator: " ")
            if words.count > 2, words[2] == "bpf" { found.append(String(words[1])) }
        }
        return found
    }

    /// `anon_inode:bpf_link`, with a hyphen before Linux 5.8.
    private static func isLink(_ descriptor: String) -> Bool {
        let target = String(unsafeUninitializedCapacity: 64) { space in
            space.withMemoryRebound(to: CChar.self) { max(readlink(descriptor, $0.baseAddress!, $0.count), 0) }
        }
        return target.hasPrefix("anon_inode:bpf") && target.hasSuffix("link")
    }

    private static func text(_ path: String) -> String? {
        (try? readFile(path)).map { String(decoding: $0, as: UTF8.self) }
    }
}
