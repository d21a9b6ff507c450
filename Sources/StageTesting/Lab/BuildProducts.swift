// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Where `swift build` put things: beside the program that asks, be it a test bundle or a tool.
public enum BuildProducts {
    /// The folder of the running executable.
    public static let directory: String = {
        let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "."
        return URL(filePath: path).deletingLastPathComponent().path(percentEncoded: false)
    }()

    /// A built executable: `BuildProducts.path("sluiced")`.
    public static func path(_ product: String) -> String {
        URL(filePath: directory).appending(path: product).path(percentEncoded: false)
    }

    /// A BPF object of an executable target: `BuildProducts.object("xdp", of: "noop")` is its `xdp.bpf.o`.
    public static func object(_ name: String, of target: String, package: String = "sluice") -> String {
        path("\(package)_\(target).resources/\(name).bpf.o")
    }
}
