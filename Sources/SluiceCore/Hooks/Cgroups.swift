// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation

/// The machine's cgroups of version 2, the only ones that programs can be attached to.
enum Cgroups {
    /// Where cgroup2 is mounted in the manager's mount namespace; nil when it is nowhere.
    static func mount() -> String? {
        guard let table = try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8) else { return nil }
        for line in table.split(separator: "\n") {
            let halves = line.components(separatedBy: " - ")
            let fields = halves[0].split(separator: " ")
            guard halves.count == 2, halves[1].hasPrefix("cgroup2 "), fields.count > 4 else { continue }
            return String(fields[4])
        }
        return nil
    }

    /// Whether this may be the name of a unit that has a cgroup.
    static func isUnit(_ name: String) -> Bool {
        name.utf8.count <= 128 && !name.contains("/")
            && [".service", ".slice", ".scope", ".socket", ".mount", ".swap"].contains {
                name.hasSuffix($0) && name.count > $0.count
            }
    }

    /// The folder of what a hook names; nil when there is none now.
    static func folder(of place: String) -> String? {
        guard let mount = mount() else { return nil }
        guard place.hasPrefix("/") else { return unit(place, below: mount) }
        let path = place == "/" ? mount : mount + place
        return isFolder(path) ? path : nil
    }

    /// A cgroup's number (`bpf_get_current_cgroup_id`): its folder's inode. Nil when it has gone.
    static func id(of folder: String) -> UInt64? {
        var info = stat()
        return stat(folder, &info) == 0 ? UInt64(info.st_ino) : nil
    }

    /// The folders in which something has to come or go for a hook's cgroup to come or go.
    static func ancestors(of place: String) -> [String] {
        guard let mount = mount() else { return [] }
        guard place.hasPrefix("/") else { return [mount] + slices(below: mount) }
        var folders = [mount]
        for part in place.split(separator: "/").dropLast() {
            let next = "\(folders.last!)/\(part)"
            guard isFolder(next) else { break }
            folders.append(next)
        }
        return folders
    }

    /// The processes of a cgroup and of those below it, at one moment.
    static func processes(in folder: String) -> [Int32] {
        let own = (try? String(contentsOfFile: "\(folder)/cgroup.procs", encoding: .utf8)) ?? ""
        let below = ((try? Bpffs.list(folder)) ?? []).map { "\(folder)/\($0)" }.filter(isFolder)
        return own.split(separator: "\n").compactMap { Int32($0) } + below.flatMap(processes)
    }

    /// A folder and all below it.
    static func all(below folder: String) -> [String] {
        [folder] + ((try? Bpffs.list(folder)) ?? []).sorted().map { "\(folder)/\($0)" }.filter(isFolder).flatMap(all)
    }

    /// systemd names a unit's cgroup like the unit, and puts it into a slice's.
    private static func unit(_ name: String, below mount: String) -> String? {
        ([mount] + slices(below: mount)).lazy.map { "\($0)/\(name)" }.first(where: isFolder)
    }

    private static func slices(below folder: String) -> [String] {
        ((try? Bpffs.list(folder)) ?? []).filter { $0.hasSuffix(".slice") }.sorted().flatMap { name in
            ["\(folder)/\(name)"] + slices(below: "\(folder)/\(name)")
        }
    }

    private static func isFolder(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }
}
