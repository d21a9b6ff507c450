// SPDX-License-Identifier: Apache-2.0

public import SluiceAPI

extension APIErrorBody {
    /// What the API says about a plugin that could not be used.
    public init(_ error: PluginError) {
        let code =
            switch error.reason {
            case .notInstalled: "not-found"
            case .refused("change", _), .refused("inspect", _): "refused"
            case .refused, .misfit: "invalid-spec"
            default: "plugin-failed"
            }
        self.init(
            code: code, message: error.description, detail: error.standardError.isEmpty ? nil : error.standardError)
    }
}
