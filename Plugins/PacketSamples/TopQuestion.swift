// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// What `sluicectl stats HOOK --stage STAGE --top WHAT` asks: one of `Subject`, and how many rows at most.
public struct TopQuestion<Subject: RawRepresentable & CaseIterable & Sendable>: Decodable, Sendable
where Subject.RawValue == String {
    public let subject: Subject
    public let limit: Int

    private enum CodingKeys: String, CodingKey {
        case top, limit
    }

    /// - Throws: ``StageError`` that names what can be asked.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let text = try container.decode(String.self, forKey: .top)
        guard let subject = Subject(rawValue: text) else {
            let known = Subject.allCases.map(\.rawValue).joined(separator: ", ")
            throw StageError("\"\(text)\": expected one of \(known)", at: "top")
        }
        self.subject = subject
        limit = try container.decodeIfPresent(Int.self, forKey: .limit) ?? 20
        guard (1...1000).contains(limit) else { throw StageError("\(limit): expected 1 to 1000", at: "limit") }
    }
}
