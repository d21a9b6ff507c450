// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// Whom a plugin runs as.
public struct PluginUser: Sendable, Hashable {
    public let uid: UInt32
    public let gid: UInt32
    /// Whether nobody but plugins runs as this user, so that whatever of it remains is a plugin's.
    public let isDedicated: Bool

    public init(uid: UInt32, gid: UInt32, isDedicated: Bool) {
        self.uid = uid
        self.gid = gid
        self.isDedicated = isDedicated
    }

    /// `sluice-plugin` where it exists, else `nobody`. Nil when this process is not root: it cannot change users, so
    /// plugins run as itself. Asks the name service, which may block.
    public static func standard() -> PluginUser? {
        guard geteuid() == 0 else { return nil }
        if let user = named("sluice-plugin", isDedicated: true) { return user }
        return named("nobody", isDedicated: false) ?? PluginUser(uid: 65534, gid: 65534, isDedicated: false)
    }

    /// The user `name`, or the standard one without a name or when there is no such user.
    static func named(_ name: String?) -> PluginUser? {
        guard geteuid() == 0, let name else { return standard() }
        return named(name, isDedicated: name == "sluice-plugin") ?? standard()
    }

    private static func named(_ name: String, isDedicated: Bool) -> PluginUser? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16 << 10)
        guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        return PluginUser(uid: entry.pw_uid, gid: entry.pw_gid, isDedicated: isDedicated)
    }
}
