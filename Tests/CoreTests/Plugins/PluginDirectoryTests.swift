// SPDX-License-Identifier: Apache-2.0

import Glibc
import SluiceAPI
import Testing

@testable import SluiceCore

@Suite struct PluginDirectoryTests {
    @Test func ordersVersionsNumberByNumber() throws {
        let sorted = ["1.10", "1.9.3", "1.9", "0.30.1", "2.0"].compactMap { PluginVersion($0) }.sorted(by: >)
        #expect(sorted.map(\.description) == ["2.0", "1.10", "1.9.3", "1.9", "0.30.1"])
        for text in ["", "1", "1.", "1.0.0.0", "01.0", "1.a", "1.-1", "1.+1", " 1.0", "1.99999999999"] {
            #expect(PluginVersion(text) == nil, "\(text)")
        }
    }

    @Test func findsTheNewestAndTheOneAskedFor() throws {
        let folder = PluginsFolder()
        for version in ["1.2", "1.10", "1.9"] { folder.install(version: version) }
        #expect(try folder.directory.find("probe").version.description == "1.10")
        #expect(try folder.directory.find("probe", version: "1.2").path == "\(folder.path)/probe/1.2")
        #expect(folder.directory.list().plugins.map(\.version.description) == ["1.10", "1.9", "1.2"])
    }

    @Test func saysWhatIsInstalled() throws {
        let folder = PluginsFolder()
        folder.install(version: "1.2")
        folder.install(version: "1.0")
        let version = try #require(throws: PluginError.self) { try folder.directory.find("probe", version: "3.0") }
        #expect(
            version.description
                == "plugin \"probe\" 3.0: this version is not installed in \(folder.path); installed: 1.2, 1.0")
        #expect(APIErrorBody(version).code == "not-found")
        for name in ["prob", "..", "../probe", "", "Probe"] {
            let error = try #require(throws: PluginError.self) { try folder.directory.find(name) }
            #expect(error.reason == .notInstalled(directory: folder.path, versions: []))
        }
    }

    @Test func listsBadEntriesWithTheReason() throws {
        let folder = PluginsFolder()
        folder.install("good", "1.0", script: "")
        folder.install("Bad", "1.0", script: "")
        let odd = folder.install("odd", "1.0", script: "")
        rename(odd.path, "\(folder.path)/odd/latest")
        folder.install("open", "1.0", script: "")
        chmod("\(folder.path)/open/1.0", 0o777)
        folder.install("plain", "1.0", script: "")
        chmod("\(folder.path)/plain/1.0/plain", 0o644)
        folder.install("empty", "1.0", script: "")
        unlink("\(folder.path)/empty/1.0/empty")
        let listing = folder.directory.list()
        #expect(listing.plugins.map(\.name) == ["good"])
        #expect(
            listing.problems.map { "\($0.name) \($0.version ?? "-"): \($0.reason)" } == [
                "Bad -: the name is not lower-case letters, digits and hyphens",
                "empty 1.0: has no executable \"empty\"",
                "odd latest: the version is not MAJOR.MINOR or MAJOR.MINOR.PATCH",
                "open 1.0: everybody may write to the folder; chmod o-w it",
                "plain 1.0: \"plain\" is not executable",
            ])
        let error = try #require(throws: PluginError.self) { try folder.directory.find("plain") }
        #expect(error.reason == .unusable(path: "\(folder.path)/plain/1.0", reason: "\"plain\" is not executable"))
    }

    @Test func reportsAFolderThatIsNotThere() {
        let listing = PluginDirectory(path: "/nonexistent/plugins").list()
        #expect(listing.problems.map(\.reason) == ["cannot be read: No such file or directory"])
    }

    @Test func keepsObjectsInTheFolder() {
        let folder = PluginsFolder()
        let plugin = folder.install(script: "")
        symlink("/etc/hostname", "\(plugin.path)/outside")
        symlink("a.bpf.o", "\(plugin.path)/inside")
        mkdir("\(plugin.path)/folder", 0o755)
        PluginsFolder.write("", to: "\(plugin.path)/open.bpf.o", mode: 0o666)
        #expect(plugin.object("a.bpf.o") == "\(plugin.path)/a.bpf.o")
        #expect(plugin.object("inside") == "\(plugin.path)/inside")
        for file in ["outside", "folder", "open.bpf.o", "missing", "../a.bpf.o", "/etc/hostname", ".", "", "-a"] {
            #expect(plugin.object(file) == nil, "\(file)")
        }
    }
}

extension PluginsFolder {
    @discardableResult
    fileprivate func install(version: String) -> InstalledPlugin { install("probe", version, script: "#!/bin/sh\n") }
}
