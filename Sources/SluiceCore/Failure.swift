// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import SluiceSockets

/// Every failure of the manager is an `APIErrorBody`; these are its codes, with what goes into the message:
/// what, on which object, why, and what to do.
extension APIErrorBody {
    static func invalidSpec(_ message: String) -> APIErrorBody { APIErrorBody(code: "invalid-spec", message: message) }
    static func notFound(_ message: String) -> APIErrorBody { APIErrorBody(code: "not-found", message: message) }
    static func conflict(_ message: String) -> APIErrorBody { APIErrorBody(code: "conflict", message: message) }
    static func refused(_ message: String, detail: String? = nil) -> APIErrorBody {
        APIErrorBody(code: "refused", message: message, detail: detail)
    }

    /// What failed below, told as part of what was being done: `apply xdp:eth0: stage "dos": load program ...`.
    init(_ error: any Error, during what: String) {
        switch error {
        case let error as APIErrorBody:
            self.init(
                code: error.code, message: error.message.hasPrefix(what) ? error.message : "\(what): \(error.message)",
                detail: error.detail)
        case let error as BPFError:
            self.init(
                code: error.verifierLog == nil ? "kernel" : "verifier-refused", message: "\(what): \(error)",
                detail: error.verifierLog)
        case let error as SocketGroupError: self.init(code: "refused", message: "\(what): \(error)")
        default:
            self.init(code: "internal", message: "\(what): \(error)")
        }
    }
}
