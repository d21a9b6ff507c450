// SPDX-License-Identifier: Apache-2.0

internal import CKernel
internal import CLibBPF
internal import Glibc

/// Pins: names for programs, maps and links in a bpffs.
public enum Pin {
    /// `BPF_OBJ_PIN`. Over an existing name it fails with `EEXIST`.
    public static func create(_ fd: Int32, at path: String) throws(BPFError) {
        let result = bpf_obj_pin(fd, path)
        guard result == 0 else { throw BPFError("pin", path, errno: Errno(rawValue: -result)) }
    }

    /// `BPF_OBJ_GET`.
    public static func open(_ path: String) throws(BPFError) -> OwnedFD {
        let raw = bpf_obj_get(path)
        guard raw >= 0 else { throw BPFError("open pin", path, errno: Errno(rawValue: -raw)) }
        return OwnedFD(taking: raw)
    }

    /// Removes a pin; quietly when there is none.
    public static func remove(_ path: String) throws(BPFError) {
        guard unlink(path) == 0 || Glibc.errno == ENOENT else { throw BPFError("unpin", path, errno: .current) }
    }
}

/// The file system that pins live in.
public enum Bpffs {
    /// Whether a path lies in a bpffs (`statfs`, `BPF_FS_MAGIC`).
    public static func contains(_ path: String) -> Bool {
        ck_is_bpffs(path) == 1
    }

    /// Makes a folder that only its owner may enter: who can open a pin can change what it holds. Quietly when it is
    /// there.
    public static func makeFolder(_ path: String) throws(BPFError) {
        guard mkdir(path, 0o700) == 0 || Glibc.errno == EEXIST else {
            throw BPFError("make folder", path, errno: .current)
        }
    }

    /// Moves a pin or a folder, atomically; over an existing pin too.
    public static func rename(_ from: String, to: String) throws(BPFError) {
        guard Glibc.rename(from, to) == 0 else { throw BPFError("rename", "\(from) to \(to)", errno: .current) }
    }

    /// Gives two folders each other's name, at once (`RENAME_EXCHANGE`).
    public static func exchange(_ first: String, _ second: String) throws(BPFError) {
        guard ck_exchange(first, second) == 0 else {
            throw BPFError("exchange", "\(first) and \(second)", errno: .current)
        }
    }

    /// The names in a folder, sorted; empty when there is no such folder.
    public static func list(_ path: String) throws(BPFError) -> [String] {
        guard let folder = opendir(path) else {
            if Glibc.errno == ENOENT { return [] }
            throw BPFError("list", path, errno: .current)
        }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Leaves a word where a pin would be: a symbolic link, as a bpffs takes no other files. Quietly when it is there.
    public static func note(_ text: String, at path: String) throws(BPFError) {
        guard symlink(text, path) == 0 || Glibc.errno == EEXIST else { throw BPFError("note", path, errno: .current) }
    }

    public static func isNote(_ path: String) -> Bool {
        var info = stat()
        return lstat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFLNK
    }

    /// Removes a folder and all pins below it; quietly when there is none. `between` is called after each removal.
    public static func removeTree(_ path: String, between: () -> Void = {}) throws(BPFError) {
        if unlink(path) == 0 || Glibc.errno == ENOENT { return }
        for name in try list(path) {
            try removeTree("\(path)/\(name)", between: between)
            between()
        }
        guard rmdir(path) == 0 || Glibc.errno == ENOENT else { throw BPFError("remove folder", path, errno: .current) }
    }
}
