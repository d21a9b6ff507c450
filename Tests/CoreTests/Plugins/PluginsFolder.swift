// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import StageKit
import Synchronization

@testable import SluiceCore

/// A temporary folder of plugins that are shell scripts; gone with the value.
final class PluginsFolder: Sendable {
    let path: String
    /// A user nobody else has, so that what remains of it can be counted; nil without root.
    let user: PluginUser?

    private static let count = Atomic<UInt32>(0)

    init() {
        let id = 1_000_000 + UInt32(getpid()) * 100 + Self.count.wrappingAdd(1, ordering: .relaxed).newValue
        user = geteuid() == 0 ? PluginUser(uid: id, gid: id, isDedicated: true) : nil
        var template = Array("/tmp/sluice-plugins-XXXXXX".utf8CString)
        precondition(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(path, 0o755)
    }

    deinit { Self.remove(path) }

    var directory: PluginDirectory { PluginDirectory(path: path) }

    /// Copies a plugin that this package built, with its object.
    func install(built name: String, _ version: String) throws -> InstalledPlugin {
        let plugin = install(name, version, script: "")
        let products = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let executable = try Data(contentsOf: products.appending(path: name))
        Self.write([UInt8](executable), to: plugin.executable, mode: 0o755)
        let object = "\(name).bpf.o"
        let resources = products.appending(path: "sluice_\(name).resources")
        Self.write(
            [UInt8](try Data(contentsOf: resources.appending(path: object))), to: "\(plugin.path)/\(object)",
            mode: 0o644)
        return plugin
    }

    /// Asks plugins as ``user``, with limits that let a bad one fail fast.
    func runner(_ change: (inout PluginLimits) -> Void = { _ in }) -> PluginRunner {
        var limits = PluginLimits()
        limits.output = 1 << 20
        change(&limits)
        return PluginRunner(limits: limits, user: user)
    }

    /// Whether no process of the user is left; what was killed may take a moment to die. True without root.
    func nothingRemains() async -> Bool {
        for _ in 0..<200 {
            if user?.remaining().isEmpty ?? true { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    /// Writes `<name>/<version>/<name>` and an empty object `a.bpf.o`.
    @discardableResult
    func install(_ name: String = "probe", _ version: String = "1.0", script: String) -> InstalledPlugin {
        let folder = "\(path)/\(name)/\(version)"
        mkdir("\(path)/\(name)", 0o755)
        mkdir(folder, 0o755)
        Self.write(script, to: "\(folder)/\(name)", mode: 0o755)
        Self.write("", to: "\(folder)/a.bpf.o", mode: 0o644)
        return InstalledPlugin(name: name, version: PluginVersion(version)!, path: folder)
    }

    /// A plugin that describes itself well and answers `plan` with `plan`, both taken as text.
    func install(plan: String) -> InstalledPlugin {
        install(
            script: """
                #!/bin/sh
                \(Self.description)
                read -r line
                cat <<'EOF'
                {"sluice":1,"id":2,"result":\(plan)}
                EOF
                """)
    }

    /// A plugin that answers its first request with `answer`.
    func install(answer: String) -> InstalledPlugin {
        install(script: "#!/bin/sh\nread -r line\necho '{\"sluice\":1,\"id\":1,\"result\":\(answer)}'\n")
    }

    /// Shell lines that read and answer `describe`.
    static let description = """
        read -r line
        echo '{"sluice":1,"id":1,"result":{"name":"probe","version":"1.0","summary":"a probe","hooks":["xdp"]}}'
        """

    static func write(_ text: String, to path: String, mode: mode_t) {
        write(Array(text.utf8), to: path, mode: mode)
    }

    static func write(_ bytes: [UInt8], to path: String, mode: mode_t) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        precondition(descriptor >= 0)
        precondition(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        fchmod(descriptor, mode)
        close(descriptor)
    }

    private static func remove(_ path: String) {
        guard let folder = opendir(path) else {
            unlink(path)
            return
        }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name != ".", name != ".." else { continue }
            // A link is removed, not followed.
            if unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)") }
        }
        closedir(folder)
        rmdir(path)
    }
}

extension PluginUser {
    /// The processes of this user, zombies left out.
    func remaining() -> [Int32] {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        var found: [Int32] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let pid = Int32(name), let file = fopen("/proc/\(pid)/status", "r") else { continue }
            defer { fclose(file) }
            var text = [CChar](repeating: 0, count: 4096)
            let count = fread(&text, 1, text.count - 1, file)
            let status = String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if status.contains("\nUid:\t\(uid)\t"), !status.contains("State:\tZ") { found.append(pid) }
        }
        return found
    }
}

extension PluginRunner {
    func plan(_ plugin: InstalledPlugin, _ configuration: JSON = [:]) async throws(PluginError) -> StagePlan {
        try await plan(
            plugin, configuration: configuration, context: PlanContext(hook: "xdp:eth0", stage: "probe"), kind: .xdp
        ).plan
    }
}
