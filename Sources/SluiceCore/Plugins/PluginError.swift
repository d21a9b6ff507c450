// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// Why a plugin could not be used. The message says what to do about it.
public struct PluginError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Reason: Sendable, Equatable {
        /// No such plugin, or not that version; `versions` are those that are there, newest first.
        case notInstalled(directory: String, versions: [String])
        /// Its folder is there, but not as it must be.
        case unusable(path: String, reason: String)
        /// The kernel or the launcher refused to start it.
        case notExecutable(path: String, reason: String)
        /// It ended before it had answered; `status` as in `exit status 3` or `signal 11`.
        case crashed(status: String, request: String)
        /// It closed its output before it had answered, and went on running.
        case silent(request: String)
        case timedOut(limit: Duration, request: String)
        /// It used up its processor time, in seconds.
        case usedUpTime(seconds: Int, request: String)
        /// More bytes than the limit, in one line or in all.
        case tooMuchOutput(limit: Int, request: String)
        /// It speaks another version of the protocol.
        case protocolVersion(theirs: String)
        /// Its answer breaks the protocol; `path` is the place in the answer.
        case malformed(request: String, path: String, reason: String)
        /// Its stage cannot stand at this kind of hook.
        case misfit(hook: HookKind, hooks: [HookKind])
        /// It refuses the configuration (`plan`) or the request (`migrate`, `change`, `inspect`).
        case refused(request: String, StageError)
    }

    /// Its name and version: `"volumetric-dos" 1.0`.
    public let plugin: String
    public let reason: Reason
    /// The last it wrote to standard error, cleaned for a terminal; empty when there is nothing.
    public let standardError: String

    init(plugin: String, _ reason: Reason, standardError: String = "") {
        self.plugin = plugin
        self.reason = reason
        self.standardError = standardError
    }

    public var description: String { "plugin \(plugin): \(message)" }

    private var message: String {
        switch reason {
        case .notInstalled(let directory, let versions):
            versions.isEmpty
                ? "not installed in \(directory); install it there, or correct the name"
                : "this version is not installed in \(directory); installed: \(versions.joined(separator: ", "))"
        case .unusable(let path, let reason):
            "\(path): \(reason)"
        case .notExecutable(let path, let reason):
            "cannot start \(path): \(reason); check its mode, its folder's, and that it is built for this machine"
        case .crashed(let status, let request):
            "ended with \(status) before it answered \"\(request)\"; its last words are in the details"
        case .silent(let request):
            "closed its output before it answered \"\(request)\"; tell its author"
        case .timedOut(let limit, let request):
            "did not answer \"\(request)\" in \(limit); it was killed; make the configuration smaller, or tell its author"
        case .usedUpTime(let seconds, let request):
            "used up \(seconds) s of processor time on \"\(request)\"; it was killed; make the configuration smaller, "
                + "or tell its author"
        case .tooMuchOutput(let limit, let request):
            "wrote more than \(limit) bytes in answer to \"\(request)\"; it was killed; make the configuration smaller, "
                + "or tell its author"
        case .protocolVersion(let theirs):
            "speaks version \(theirs) of the plugin protocol, the manager version \(StageProtocol.version); "
                + "install a version of the plugin that was built for this manager"
        case .malformed(let request, let path, let reason):
            "its answer to \"\(request)\" is not valid: \(path.isEmpty ? "" : "\(path): ")\(reason); tell its author"
        case .misfit(let hook, let hooks):
            "its stage cannot stand at a hook of kind \"\(hook.rawValue)\", only at "
                + hooks.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        case .refused(let request, let error):
            switch request {
            case "plan": "config: \(error)"
            case "change": "refuses the change: \(error)"
            case "inspect": "cannot show it: \(error)"
            default: "refuses to \(request): \(error)"
            }
        }
    }
}
