// SPDX-License-Identifier: Apache-2.0

/// A value of a configuration that YAML makes a number or a string of, as its writer happened to put it: `80`, `"80"`
/// or `80-90`.
public struct NumberOrText: Decodable, Sendable {
    public let text: String

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int64.self) {
            text = String(number)
        } else {
            text = try container.decode(String.self)
        }
    }
}
