// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// One hook by name: its kind, its interface, and the network namespace the interface is in.
///
/// Written `xdp:eth0`, or `xdp:eth0@edge` for an interface in `/run/netns/edge`, or `xdp:eth0@/proc/7/ns/net`.
struct HookID: Hashable, Sendable, CustomStringConvertible {
    let kind: HookKind
    let interface: String
    /// The namespace's file; nil for the manager's own.
    let netns: String?

    static let netnsFolder = "/run/netns/"

    init(kind: HookKind, interface: String, netns: String?) throws(APIErrorBody) {
        guard Self.isInterfaceName(interface) else {
            throw .invalidSpec(
                "hook \"\(kind.rawValue):\(interface)\": an interface name has 1 to 15 characters, none of them / : @ or white space"
            )
        }
        if let netns, !netns.hasPrefix("/") || netns.utf8.contains(0) || netns.utf8.count > 128 {
            throw .invalidSpec(
                "hook \"\(kind.rawValue):\(interface)\": the network namespace \"\(netns)\" is not an absolute path")
        }
        self.kind = kind
        self.interface = interface
        // The same folder by its old name: one namespace, one hook.
        self.netns = netns.map { $0.hasPrefix("/var\(Self.netnsFolder)") ? String($0.dropFirst(4)) : $0 }
    }

    /// Parses what people type. `netns` is the spec's key of that name, which may stand instead of `@...`.
    init(parsing text: String, netns: String? = nil) throws(APIErrorBody) {
        let kinds = HookKind.allCases.map(\.rawValue).joined(separator: ", ")
        guard let colon = text.firstIndex(of: ":") else {
            throw .invalidSpec("hook \"\(text)\": expected KIND:INTERFACE, such as xdp:eth0; kinds: \(kinds)")
        }
        guard let kind = HookKind(rawValue: String(text[..<colon])) else {
            throw .invalidSpec("hook \"\(text)\": there is no hook kind \"\(text[..<colon])\"; kinds: \(kinds)")
        }
        let rest = text[text.index(after: colon)...]
        guard let at = rest.firstIndex(of: "@") else {
            try self.init(kind: kind, interface: String(rest), netns: netns)
            return
        }
        let place = String(rest[rest.index(after: at)...])
        guard netns == nil, !place.isEmpty else {
            throw .invalidSpec("hook \"\(text)\": name the network namespace once, after the @ or by the key netns")
        }
        try self.init(
            kind: kind, interface: String(rest[..<at]), netns: place.hasPrefix("/") ? place : Self.netnsFolder + place)
    }

    var description: String {
        guard let netns else { return "\(kind.rawValue):\(interface)" }
        let short = netns.hasPrefix(Self.netnsFolder) ? String(netns.dropFirst(Self.netnsFolder.count)) : netns
        return "\(kind.rawValue):\(interface)@\(short.contains("/") ? netns : short)"
    }

    /// Its folder in the bpffs. A bpffs takes no dot in a name, so dots, slashes and percent signs become `%2E` and the
    /// like.
    var directoryName: String {
        description.utf8.map { byte in
            let character = Character(UnicodeScalar(byte))
            let plain = character.isASCII && (character.isLetter || character.isNumber || ":@_-".contains(character))
            if plain { return String(character) }
            let digits = String(byte, radix: 16, uppercase: true)
            return "%" + (digits.count == 1 ? "0" : "") + digits
        }.joined()
    }

    /// The hook whose ``directoryName`` this is; nil for a folder that is nobody's.
    init?(directoryName: String) {
        var bytes: [UInt8] = []
        var rest = Substring(directoryName)
        while let first = rest.popFirst() {
            if first == "%" {
                guard let byte = UInt8(rest.prefix(2), radix: 16), rest.count >= 2 else { return nil }
                bytes.append(byte)
                rest = rest.dropFirst(2)
            } else {
                bytes += Array(String(first).utf8)
            }
        }
        guard let id = try? HookID(parsing: String(decoding: bytes, as: UTF8.self)),
            id.directoryName == directoryName
        else { return nil }
        self = id
    }

    private static func isInterfaceName(_ name: String) -> Bool {
        (1...15).contains(name.utf8.count) && name != "." && name != ".."
            && name.utf8.allSatisfy { $0 > 32 && $0 != 127 && !"/:@".utf8.contains($0) }
    }
}
