// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// An error number of the kernel.
public struct Errno: RawRepresentable, Error, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// The calling thread's `errno`; read it before anything else can change it.
    public static var current: Errno { Errno(rawValue: Glibc.errno) }

    public static let notPermitted = Errno(rawValue: EPERM)
    public static let noEntry = Errno(rawValue: ENOENT)
    public static let accessDenied = Errno(rawValue: EACCES)
    public static let busy = Errno(rawValue: EBUSY)
    public static let exists = Errno(rawValue: EEXIST)
    public static let noDevice = Errno(rawValue: ENODEV)
    public static let invalid = Errno(rawValue: EINVAL)
    public static let range = Errno(rawValue: ERANGE)
    public static let tooBig = Errno(rawValue: E2BIG)
    public static let notSupported = Errno(rawValue: EOPNOTSUPP)
    public static let wouldBlock = Errno(rawValue: EWOULDBLOCK)
    public static let noMemory = Errno(rawValue: ENOMEM)
    public static let notEmpty = Errno(rawValue: ENOTEMPTY)

    /// `no such file or directory (ENOENT)`; the name only where it is a common one here.
    public var description: String {
        let text = String(cString: strerror(rawValue))
        let lowered = text.prefix(1).lowercased() + text.dropFirst()
        return Self.names[rawValue].map { "\(lowered) (\($0))" } ?? "\(lowered) (errno \(rawValue))"
    }

    private static let names: [Int32: String] = [
        EPERM: "EPERM", ENOENT: "ENOENT", EACCES: "EACCES", EBUSY: "EBUSY", EEXIST: "EEXIST", ENODEV: "ENODEV",
        EINVAL: "EINVAL", ERANGE: "ERANGE", E2BIG: "E2BIG", EOPNOTSUPP: "EOPNOTSUPP", EAGAIN: "EAGAIN",
        ENOMEM: "ENOMEM", ENOSPC: "ENOSPC", ENOTEMPTY: "ENOTEMPTY", ENOTDIR: "ENOTDIR", EROFS: "EROFS",
        EMFILE: "EMFILE", ENFILE: "ENFILE", ENXIO: "ENXIO",
    ]
}
