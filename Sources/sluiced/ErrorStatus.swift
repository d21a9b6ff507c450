// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import SluiceAPI

extension APIErrorBody {
    /// The HTTP status of an error's code. What the manager refuses for a reason of its own (an invalid spec, a plugin
    /// that failed, a verifier that said no) is 422: understood, and impossible as asked.
    var status: HTTPResponse.Status {
        switch code {
        case "invalid-request": .badRequest
        case "forbidden": .forbidden
        case "not-found": .notFound
        case "method-not-allowed": .methodNotAllowed
        case "busy", "conflict", "foreign-program": .conflict
        case "too-large": .contentTooLarge
        case "internal": .internalServerError
        default: .unprocessableContent
        }
    }
}
