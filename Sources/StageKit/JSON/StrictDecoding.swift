// SPDX-License-Identifier: Apache-2.0

/// Decodes a `Decodable` type from JSON and refuses what the type does not ask for: an unknown key is an error, as
/// are a wrong type, a missing key and a number out of range. Every error names the place, `rules[3].source`.
///
/// Which keys a type knows is learnt from what its `init(from:)` asks of its containers, so it works for every
/// `Codable` type, whether the compiler or somebody wrote the conformance. An `init(from:)` may throw ``StageError``
/// itself; its path is taken as relative to the value at hand.
public enum StrictDecoding {
    /// - Parameter ignoringUnknownKeys: For what a newer sender may have extended; all else stays strict.
    /// - Throws: ``StageError`` with the path and the reason.
    public static func decode<Value: Decodable>(
        _ type: Value.Type, from json: JSON, ignoringUnknownKeys: Bool = false
    ) throws(StageError) -> Value {
        do {
            return try Node(json, ignoringUnknownKeys: ignoringUnknownKeys).decode(type)
        } catch let error as DecodingError {
            throw StageError(error.message, at: error.path)
        } catch let error as StageError {
            throw error
        } catch {
            throw StageError("\(error)")
        }
    }
}

extension JSON {
    /// This value as `type`, decoded strictly, see ``StrictDecoding``.
    public func decode<Value: Decodable>(_ type: Value.Type) throws(StageError) -> Value {
        try StrictDecoding.decode(type, from: self)
    }
}

/// One step of a path: a key or an index. `verbatim` is a path that a type's own error brought along.
enum PathStep: CodingKey {
    case key(String)
    case index(Int)
    case verbatim(String)

    var stringValue: String {
        switch self {
        case .key(let key): key
        case .index(let index): "[\(index)]"
        case .verbatim(let path): path
        }
    }

    var intValue: Int? {
        if case .index(let index) = self { index } else { nil }
    }

    init(stringValue: String) { self = .key(stringValue) }
    init(intValue: Int) { self = .index(intValue) }

    /// A path as people write it: `rules[3].source`, `ports["a b"]`.
    static func text(_ path: [any CodingKey]) -> String {
        var text = ""
        for step in path {
            if case .verbatim(let path)? = step as? PathStep {
                text += path.hasPrefix("[") || text.isEmpty ? path : ".\(path)"
            } else if let index = step.intValue {
                text += "[\(index)]"
            } else if step.stringValue.utf8.allSatisfy(isPlain), !step.stringValue.isEmpty {
                text += text.isEmpty ? step.stringValue : ".\(step.stringValue)"
            } else {
                text += "[\(JSON.string(step.stringValue))]"
            }
        }
        return text
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

extension DecodingError {
    private var context: Context? {
        switch self {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
            .dataCorrupted(let context):
            context
        @unknown default: nil
        }
    }

    fileprivate var path: String { PathStep.text(context?.codingPath ?? []) }
    fileprivate var message: String { context?.debugDescription ?? "\(self)" }

    /// The same error, placed at `path` when it has no place as deep as that.
    func placed(at path: [any CodingKey]) -> DecodingError {
        guard let context, context.codingPath.count < path.count else { return self }
        return .dataCorrupted(Context(codingPath: path, debugDescription: context.debugDescription))
    }
}
