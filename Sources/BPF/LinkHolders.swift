// SPDX-License-Identifier: Apache-2.0

extension BPFLink {
    /// Who keeps an attachment of a program alive, for people to read: `process 7 (katran)`, `pin /sys/fs/bpf/x`. Only
    /// what may be seen: other users' processes need `CAP_SYS_PTRACE`.
    public static func holders(of program: UInt32) -> [String] {
        processes(holding: program) + pins(of: program)
    }

    private static func processes(holding program: UInt32) -> [String] {
        let pids = (try? Bpffs.list("/proc")) ?? []
        return pids.filter { Int($0) != nil }.compactMap { pid in
            let descriptors = (try? Bpffs.list("/proc/\(pid)/fdinfo")) ?? []
            let holds = descriptors.contains { number in
                guard Bpffs.isLink("/proc/\(pid)/fd/\(number)"), let info = text("/proc/\(pid)/fdinfo/\(number)") else {
                    return false
                }
                return info.split(separator: "\n").contains("prog_id:\t\(program)")
            }
            let name = text("/proc/\(pid)/comm")?.split(separator: "\n").first.map { " (\($0))" } ?? ""
            return holds ? "process \(pid)\(name)" : nil
        }
    }

    private static func pins(of program: UInt32) -> [String] {
        var found: [String] = []
        for mount in Bpffs.mounts() {
            Bpffs.eachPin(below: mount) { path, fd in
                guard Bpffs.isLink(fd.raw) else { return }
                if (try? BPFLink(taking: fd).info().programID) == program { found.append("pin \(path)") }
            }
        }
        return found
    }

    private static func text(_ path: String) -> String? {
        (try? readFile(path)).map { String(decoding: $0, as: UTF8.self) }
    }
}
