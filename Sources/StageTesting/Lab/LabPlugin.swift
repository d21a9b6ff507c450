// SPDX-License-Identifier: Apache-2.0

import Foundation

extension Lab {
    /// Lays a built plugin out as an installation does, `<plugins>/<name>/<version>/` with the executable and its
    /// objects; name and version are what it says itself.
    ///
    /// - Parameters:
    ///   - target: the executable target it was built from.
    ///   - package: the package of that target, which its resources are named after.
    /// - Throws: when it was not built or does not answer to `describe`.
    public func installPlugin(_ target: String, into plugins: String, package: String = "sluice") throws {
        struct Description: Decodable { var name, version: String }
        let executable = BuildProducts.path(target)
        let description = try JSONDecoder().decode(
            Description.self, from: Data(check([executable, "describe"]).utf8))
        let folder = "\(plugins)/\(description.name)/\(description.version)"
        let files = FileManager.default
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try files.copyItem(atPath: executable, toPath: "\(folder)/\(description.name)")
        let resources = BuildProducts.path("\(package)_\(target).resources")
        for object in try files.contentsOfDirectory(atPath: resources) where object.hasSuffix(".bpf.o") {
            try files.copyItem(atPath: "\(resources)/\(object)", toPath: "\(folder)/\(object)")
        }
    }
}
