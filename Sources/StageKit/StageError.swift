// SPDX-License-Identifier: Apache-2.0

/// A configuration that cannot work, or a request that cannot be met.
public struct StageError: Error, Codable, Sendable, Equatable, CustomStringConvertible {
    /// Where in the configuration: `rules[3].source`; empty for the whole.
    public var path: String
    /// What is wrong and what would be right, in lower case: `"10.0.0.0/33": a prefix length of IPv4 is 0 to 32`.
    public var message: String

    public init(_ message: String, at path: String = "") {
        self.path = path
        self.message = message
    }

    public var description: String { path.isEmpty ? message : "\(path): \(message)" }
}

extension StageError {
    /// `path` may be left out.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        path = try container.decodeIfPresent(String.self, forKey: .path) ?? ""
        message = try container.decode(String.self, forKey: .message)
    }
}
