// SPDX-License-Identifier: Apache-2.0

/// What a plugin may use. Set before it starts, so that no plugin can starve the machine or the manager.
public struct PluginLimits: Sendable, Equatable {
    /// For one start, `describe` and `plan` together. `run` has none.
    public var time: Duration = .seconds(10)
    /// Processor time, `RLIMIT_CPU`, in seconds. `run` has none.
    public var processorSeconds = 10
    /// `RLIMIT_AS`, in bytes.
    public var addressSpace = 1 << 30
    /// `RLIMIT_NOFILE`.
    public var openFiles = 64
    /// `RLIMIT_NPROC`: processes and threads of the plugin user, all plugins together.
    public var processes = 256
    /// Bytes of output of one start, and so of one line.
    public var output = 64 << 20
    /// Bytes of one line of a `run`.
    public var runLine = 1 << 20
    /// Bytes of standard error that are kept, the last ones.
    public var standardError = 16 << 10

    public init() {}
}
