// SPDX-License-Identifier: Apache-2.0

/// What failed in the kernel or in libbpf.
public struct BPFError: Error, Sendable, CustomStringConvertible {
    /// What was tried: `load program`, `pin map`.
    public var operation: String
    /// On what: `"volumetric_dos"`, `/sys/fs/bpf/sluice/...`.
    public var object: String
    /// Why, where it is more than the errno says; else nil.
    public var cause: String?
    /// The kernel's error number, if it was the kernel that refused.
    public var errno: Errno?
    /// The verifier's log, whole, when a program was refused.
    public var verifierLog: String?

    public init(
        _ operation: String, _ object: String, cause: String? = nil, errno: Errno? = nil, verifierLog: String? = nil
    ) {
        self.operation = operation
        self.object = object
        self.cause = cause
        self.errno = errno
        self.verifierLog = verifierLog
    }

    /// `operation object: cause`; of a verifier log the last line that says why.
    public var description: String {
        var text = "\(operation) \(object): "
        text += [cause, errno.map(\.description)].compactMap(\.self).joined(separator: ": ")
        if let line = verifierVerdict { text += "; the verifier says: \(line)" }
        return text
    }

    /// The line of the verifier log that says why: the last one before the statistics, and before the report with
    /// advice that Linux 7.3 puts there.
    public var verifierVerdict: String? {
        verifierLog?.split(separator: "\n").map(String.init)
            .prefix { !$0.hasPrefix("Verification failed: ") }
            .last { !$0.hasPrefix("processed ") && !$0.hasPrefix("verification time") && !$0.hasPrefix("stack depth") }
    }
}
