// SPDX-License-Identifier: Apache-2.0

import Foundation
import PackagePlugin

/// Compiles a target's BPF C in `swift build`.
///
/// For a target `T` every `bpf/T/*.bpf.c` of the package that declares `T` becomes `*.bpf.o`:
///
/// - an executable gets the object as a resource, `<package>_<T>.resources/<name>.bpf.o` beside it;
/// - a library gets it embedded, as a constant: `xdp_root.bpf.c` gives `xdpRootObject`, the object in base64.
///
/// The include path holds the package's own `bpf/include` and Sluice's, so `#include <sluice/xdp_stage.h>` works
/// in a package of anybody's. All headers below those folders are inputs: editing one rebuilds what may use it.
@main
struct BPFCompile: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let package = context.package.directoryURL
        let sources = files(below: package.appending(path: "bpf/\(target.name)"), named: ".bpf.c")
        guard !sources.isEmpty else {
            Diagnostics.error("BPFCompile: '\(target.name)' applies the plugin, but bpf/\(target.name) has no *.bpf.c")
            return []
        }
        let roots = includeRoots(context)
        let headers =
            roots.flatMap { files(below: $0, named: ".h") }
            + files(below: package.appending(path: "bpf"), named: ".h")
        let flags = compilerFlags(includes: roots.map { $0.path(percentEncoded: false) })
        let clang = try context.tool(named: "clang").url
        let embeds = (target as? any SourceModuleTarget)?.kind != .executable
        return sources.map { source in
            let name = source.lastPathComponent.replacingOccurrences(of: ".bpf.c", with: "")
            let object = context.pluginWorkDirectoryURL.appending(path: "\(name).bpf.o")
            let compile = flags + ["-c", source.path(percentEncoded: false), "-o", object.path(percentEncoded: false)]
            guard embeds else {
                return .buildCommand(
                    displayName: "Compiling BPF \(name).bpf.c", executable: clang, arguments: compile,
                    inputFiles: [source] + headers, outputFiles: [object])
            }
            // One shell step makes both, so that the object is no resource of its own and the Swift file follows it.
            let swift = context.pluginWorkDirectoryURL.appending(path: "\(name).swift")
            let symbol =
                name.split(separator: "_").enumerated()
                .map { $0.offset == 0 ? String($0.element) : $0.element.capitalized }.joined() + "Object"
            let script =
                "out=$1; object=$2; symbol=$3; shift 3; \"$@\" && printf '"
                + "/// %s, base64.\\npackage let %s = \"%s\"\\n' \"${object##*/}\" \"$symbol\" "
                + "\"$(base64 -w0 \"$object\")\" > \"$out\""
            let paths = [swift, object].map { $0.path(percentEncoded: false) }
            return .buildCommand(
                displayName: "Compiling BPF \(name).bpf.c (embedded)", executable: URL(filePath: "/bin/sh"),
                arguments: ["-c", script, "sh"] + paths + [symbol, clang.path(percentEncoded: false)] + compile,
                inputFiles: [source] + headers, outputFiles: [swift])
        }
    }

    /// The package's own headers, then those of the package that vends this plugin (for Sluice itself, the same).
    private func includeRoots(_ context: PluginContext) -> [URL] {
        let packages = [context.package] + context.package.dependencies.map(\.package)
        return packages.map { $0.directoryURL.appending(path: "bpf/include") }
            .filter { FileManager.default.fileExists(atPath: $0.path(percentEncoded: false)) }
    }

    private func compilerFlags(includes: [String]) -> [String] {
        #if arch(x86_64)
            let (machine, define) = ("x86_64-linux-gnu", "-D__TARGET_ARCH_x86")
        #elseif arch(arm64)
            let (machine, define) = ("aarch64-linux-gnu", "-D__TARGET_ARCH_arm64")
        #endif
        // -mcpu=v3: 32-bit jumps and cmpxchg (Linux 5.12). The multiarch folder has the <asm/types.h> of <linux/bpf.h>.
        return ["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-std=gnu11", "-Wall", "-Wextra", "-Werror", define]
            + includes.flatMap { ["-I", $0] } + ["-idirafter", "/usr/include/\(machine)", "-idirafter", "/usr/include"]
            // The object must not depend on where the package lies: its digest is what an artifact is known by.
            + ["-fdebug-compilation-dir=."]
    }

    private func files(below folder: URL, named suffix: String) -> [URL] {
        let found = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        return (found?.compactMap { $0 as? URL } ?? []).filter { $0.lastPathComponent.hasSuffix(suffix) }
            .sorted { $0.path < $1.path }
    }
}
