// SPDX-License-Identifier: Apache-2.0

/// What the names in a plugin's folder and answers may be. All of them end up in paths, messages or the kernel.
enum PluginName {
    /// A plugin's name: a lower-case letter, then letters, digits and hyphens; at most 63.
    static func isPlugin(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard (1...63).contains(bytes.count), isLower(bytes[0]), bytes.last != UInt8(ascii: "-") else { return false }
        return bytes.allSatisfy { isLower($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
    }

    /// A C identifier of at most 63 characters.
    static func isIdentifier(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard (1...63).contains(bytes.count), !isDigit(bytes[0]) else { return false }
        return bytes.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "_") }
    }

    /// The name of a file in the plugin's own folder: no slash, no dot in front.
    static func isFile(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard (1...255).contains(bytes.count), bytes[0] != UInt8(ascii: "."), bytes[0] != UInt8(ascii: "-") else {
            return false
        }
        return bytes.allSatisfy { isLetter($0) || isDigit($0) || "._+-".utf8.contains($0) }
    }

    private static func isLower(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isLetter(_ byte: UInt8) -> Bool {
        isLower(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }
}

/// Text from a plugin, for a terminal.
enum PluginText {
    /// Whether `scalar` could move the cursor, colour the screen or turn the line around.
    static func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse: true
        default: false
        }
    }

    /// Whether `text` can be shown as it is, on one line.
    static func isPlain(_ text: String) -> Bool {
        !text.unicodeScalars.contains(where: isUnprintable)
    }

    /// `text` with everything unprintable but line feeds and tabs replaced, at most `limit` characters.
    static func cleaned(_ text: String, limit: Int) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(limit) {
            result.append(isUnprintable(scalar) && scalar != "\n" && scalar != "\t" ? "\u{fffd}" : scalar)
        }
        return text.unicodeScalars.count > limit ? String(result) + " ..." : String(result)
    }

    /// The same on one line.
    static func line(_ text: String, limit: Int) -> String {
        String(cleaned(text, limit: limit).map { $0.isNewline || $0 == "\t" ? " " : $0 })
    }
}
