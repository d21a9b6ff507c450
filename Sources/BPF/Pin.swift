// SPDX-License-Identifier: Apache-2.0

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
