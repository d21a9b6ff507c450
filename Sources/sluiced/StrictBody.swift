// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NIOCore
import SluiceAPI

/// The JSON body of a request. A key that nobody reads is a mistake (a typo in `replace` must not be passed over), so
/// it is refused; the requests are flat objects, which makes the check short.
struct StrictBody: Sendable {
    var buffer: ByteBuffer
    /// What the body is documented as; nil when the endpoint takes none.
    var schema: ObjectSchema?

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private struct Keys: Decodable {
        var names: [String]
        init(from decoder: any Decoder) throws {
            names = try decoder.container(keyedBy: Key.self).allKeys.map(\.stringValue)
        }
    }

    func decode<Request: Decodable>() throws(APIErrorBody) -> Request {
        let data = Data(buffer.readableBytesView)
        do {
            let known = schema?.properties.map(\.name) ?? []
            let unknown = try JSONDecoder().decode(Keys.self, from: data).names.filter { !known.contains($0) }.sorted()
            if let first = unknown.first {
                throw refusal("unknown key \"\(first)\"; known: \(known.joined(separator: ", "))")
            }
            return try JSONDecoder().decode(Request.self, from: data)
        } catch let error as APIErrorBody {
            throw error
        } catch DecodingError.keyNotFound(let key, _) {
            throw refusal("key \"\(key.stringValue)\" is missing")
        } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
            let key = context.codingPath.map(\.stringValue).joined(separator: ".")
            throw refusal(key.isEmpty ? "want a JSON object" : "key \"\(key)\" has a value of the wrong type")
        } catch {
            throw refusal("not JSON, or not UTF-8")
        }
    }

    private func refusal(_ why: String) -> APIErrorBody {
        APIErrorBody(
            code: "invalid-request", message: "request body: \(why); /openapi.json describes \(schema?.name ?? "it")")
    }
}
