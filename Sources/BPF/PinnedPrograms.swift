// SPDX-License-Identifier: Apache-2.0

internal import Glibc

extension Bpffs {
    /// The pins of programs and of links that attach them, wherever a bpffs is mounted: by the program's id. Only what
    /// the caller may open.
    public static func pinnedPrograms() -> [UInt32: (name: String?, pins: [String])] {
        var found: [UInt32: (name: String?, pins: [String])] = [:]
        for mount in mounts() {
            eachPin(below: mount) { path, fd in
                if isLink(fd.raw) {
                    guard let info = try? BPFLink(taking: fd).info() else { return }
                    found[info.programID, default: (nil, [])].pins.append(path)
                } else if descriptor(fd.raw).hasSuffix("prog"), let program = try? BPFProgram(taking: fd) {
                    found[program.id, default: (nil, [])].pins.append(path)
                    found[program.id]?.name = program.name
                }
            }
        }
        return found
    }

    /// Opens every pin below a folder, one after the other.
    static func eachPin(below folder: String, depth: Int = 0, _ body: (String, consuming OwnedFD) -> Void) {
        guard depth < 8 else { return }
        for name in (try? list(folder)) ?? [] {
            let path = "\(folder)/\(name)"
            if let fd = try? Pin.open(path) {
                body(path, fd)
            } else {
                eachPin(below: path, depth: depth + 1, body)
            }
        }
    }

    /// Where one is mounted; several on top of each other are one place.
    static func mounts() -> [String] {
        var found: [String] = []
        for line in (try? readFile("/proc/self/mounts")).map({ String(decoding: $0, as: UTF8.self) })?
            .split(separator: "\n") ?? []
        {
            let words = line.split(separator: " ")
            if words.count > 2, words[2] == "bpf", !found.contains(String(words[1])) { found.append(String(words[1])) }
        }
        return found
    }

    static func isLink(_ fd: Int32) -> Bool { isLink("/proc/self/fd/\(fd)") }

    /// `anon_inode:bpf_link`, with a hyphen before Linux 5.8.
    static func isLink(_ descriptor: String) -> Bool {
        let target = target(descriptor)
        return target.hasPrefix("anon_inode:bpf") && target.hasSuffix("link")
    }

    private static func descriptor(_ fd: Int32) -> String { target("/proc/self/fd/\(fd)") }

    private static func target(_ descriptor: String) -> String {
        String(unsafeUninitializedCapacity: 64) { space in
            space.withMemoryRebound(to: CChar.self) { max(readlink(descriptor, $0.baseAddress!, $0.count), 0) }
        }
    }
}
