// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// One installed version of a plugin: a folder `<plugins>/<name>/<version>` with the executable `<name>` in it.
public struct InstalledPlugin: Sendable, Hashable {
    public let name: String
    public let version: PluginVersion
    /// The folder, absolute.
    public let path: String

    public var executable: String { "\(path)/\(name)" }
    /// For messages: `"volumetric-dos" 1.0`.
    public var label: String { "\"\(name)\" \(version)" }

    /// The path of `file` in the plugin's folder.
    /// - Returns: Nil unless it is a regular file that lies in the folder, links followed, and that not everybody may
    ///   write.
    public func object(_ file: String) -> String? {
        guard PluginName.isFile(file), let folder = FileStatus.realPath(path),
            let real = FileStatus.realPath("\(path)/\(file)"), real.hasPrefix(folder + "/"),
            let status = FileStatus(real), status.isRegular, !status.isWorldWritable
        else { return nil }
        return "\(path)/\(file)"
    }
}

/// The folder of the installed plugins, `/usr/lib/sluice/plugins`.
public struct PluginDirectory: Sendable {
    /// Something in the folder that is not a usable plugin.
    public struct Problem: Sendable, Hashable {
        /// The folder or file it is about.
        public let path: String
        /// The plugin and version it would be, as far as its path says.
        public let name: String
        public let version: String?
        public let reason: String
    }

    /// What was found.
    public struct Listing: Sendable {
        /// By name, newest version first.
        public fileprivate(set) var plugins: [InstalledPlugin] = []
        public fileprivate(set) var problems: [Problem] = []
    }

    public let path: String

    public init(path: String) {
        self.path = path
    }

    /// Lists every version of every plugin. A bad entry is a ``Problem``, never an error; so is a folder that is not
    /// there. Reads the file system, not the plugins.
    public func list() -> Listing {
        var listing = Listing()
        guard let names = FileStatus.entries(of: path) else {
            let reason = "cannot be read: \(String(cString: strerror(errno)))"
            listing.problems.append(Problem(path: path, name: "", version: nil, reason: reason))
            return listing
        }
        for name in names where !name.hasPrefix(".") { add(name, to: &listing) }
        return listing
    }

    /// The newest version of `name`, or the one asked for.
    public func find(_ name: String, version: String? = nil) throws(PluginError) -> InstalledPlugin {
        var listing = Listing()
        if PluginName.isPlugin(name), FileStatus("\(path)/\(name)") != nil { add(name, to: &listing) }
        let found = listing.plugins.first { version == nil || $0.version.description == version }
        if let found { return found }
        let label = version.map { "\"\(name)\" \($0)" } ?? "\"\(name)\""
        if let problem = listing.problems.first(where: { version == nil || $0.version == version }) {
            throw PluginError(plugin: label, .unusable(path: problem.path, reason: problem.reason))
        }
        let versions = listing.plugins.map(\.version.description)
        throw PluginError(plugin: label, .notInstalled(directory: path, versions: versions))
    }

    private func add(_ name: String, to listing: inout Listing) {
        let folder = "\(path)/\(name)"
        func problem(_ reason: String, version: String? = nil, at path: String) {
            listing.problems.append(Problem(path: path, name: name, version: version, reason: reason))
        }
        guard PluginName.isPlugin(name) else {
            return problem("the name is not lower-case letters, digits and hyphens", at: folder)
        }
        guard let entries = FileStatus.entries(of: folder) else { return problem("not a readable folder", at: folder) }
        var plugins: [InstalledPlugin] = []
        for entry in entries where !entry.hasPrefix(".") {
            let path = "\(folder)/\(entry)"
            guard let version = PluginVersion(entry) else {
                problem("the version is not MAJOR.MINOR or MAJOR.MINOR.PATCH", version: entry, at: path)
                continue
            }
            let plugin = InstalledPlugin(name: name, version: version, path: path)
            if let reason = Self.defect(of: plugin) {
                problem(reason, version: entry, at: path)
            } else {
                plugins.append(plugin)
            }
        }
        listing.plugins += plugins.sorted { $0.version > $1.version }
    }

    /// Why `plugin` cannot be used.
    private static func defect(of plugin: InstalledPlugin) -> String? {
        guard let folder = FileStatus(plugin.path), folder.isDirectory else { return "not a folder" }
        guard !folder.isWorldWritable else { return "everybody may write to the folder; chmod o-w it" }
        guard let file = FileStatus(plugin.executable) else { return "has no executable \"\(plugin.name)\"" }
        guard file.isRegular, file.isExecutable else { return "\"\(plugin.name)\" is not executable" }
        guard !file.isWorldWritable else { return "everybody may write to \"\(plugin.name)\"; chmod o-w it" }
        return nil
    }
}

/// What `stat(2)` says, links followed.
private struct FileStatus {
    private let mode: mode_t

    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        mode = status.st_mode
    }

    var isDirectory: Bool { mode & S_IFMT == S_IFDIR }
    var isRegular: Bool { mode & S_IFMT == S_IFREG }
    var isExecutable: Bool { mode & 0o111 != 0 }
    var isWorldWritable: Bool { mode & 0o002 != 0 }

    /// The names in a folder, sorted, without `.` and `..`; nil, and `errno`, when it cannot be read.
    static func entries(of folder: String) -> [String]? {
        guard let stream = opendir(folder) else { return nil }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func realPath(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}
