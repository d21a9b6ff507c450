// SPDX-License-Identifier: Apache-2.0

/// Where a manager keeps things; two managers with different values run side by side.
public struct ManagerConfiguration: Sendable {
    /// A folder in a bpffs; made if it is missing.
    public var bpffs: String
    /// Database and artifacts; made if it is missing.
    public var state: String
    /// Where plugins are installed, `<folder>/<name>/<version>/`; the first that has a version wins.
    public var plugins: [String]
    /// Who plugins run as; nil for `sluice-plugin`, or `nobody` where there is no such user.
    public var pluginUser: String?
    /// How many generations of a chain stay pinned, the live one included.
    public var keep: Int

    public init(
        bpffs: String = "/sys/fs/bpf/sluice", state: String = "/var/lib/sluice",
        plugins: [String] = ["/usr/lib/sluice/plugins"], pluginUser: String? = nil, keep: Int = 5
    ) {
        self.bpffs = bpffs
        self.state = state
        self.plugins = plugins
        self.pluginUser = pluginUser
        self.keep = keep
    }
}
