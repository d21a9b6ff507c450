// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// One hook by name: its kind, and where it is.
///
/// Written `xdp:eth0`, or `xdp:eth0@edge` for an interface in `/run/netns/edge`, or `xdp:eth0@/proc/7/ns/net`;
/// `cgroup-connect4:/edge.slice/dns` for a cgroup by its path below the mount of cgroup2, or
/// `cgroup-connect4:dns.service` for one by the unit that it is of; `socket-filter:dns` for a group of sockets.
struct HookID: Hashable, Sendable, CustomStringConvertible {
    let kind: HookKind
    /// The interface, the cgroup or the group.
    let place: String
    /// The file of the interface's network namespace; nil for the manager's own.
    let netns: String?

    static let netnsFolder = "/run/netns/"

    /// Of hooks that are on one.
    var interface: String { place }

    init(kind: HookKind, place: String, netns: String? = nil) throws(APIErrorBody) {
        func refused(_ why: String) -> APIErrorBody { .invalidSpec("hook \"\(kind.rawValue):\(place)\": \(why)") }
        guard netns == nil || kind.place == .interface else {
            throw refused("only an interface is in a network namespace; leave that out")
        }
        switch kind.place {
        case .interface:
            guard Self.isInterfaceName(place) else {
                throw refused("an interface name has 1 to 15 characters, none of them / : @ or white space")
            }
        case .cgroup:
            if let why = Self.whyNoCgroup(place) { throw refused(why) }
        case .group:
            guard Self.isGroupName(place) else {
                throw refused("a group's name has 1 to 32 letters, digits, hyphens and underscores")
            }
        }
        if let netns, !netns.hasPrefix("/") || netns.utf8.contains(0) || netns.utf8.count > 128 {
            throw refused("the network namespace \"\(netns)\" is not an absolute path")
        }
        self.kind = kind
        self.place = place
        // The same folder by its old name: one namespace, one hook.
        self.netns = netns.map { $0.hasPrefix("/var\(Self.netnsFolder)") ? String($0.dropFirst(4)) : $0 }
        // It is the name of a folder.
        guard directoryName.utf8.count <= 240 else { throw refused("the name is too long") }
    }

    /// Parses what people type. `netns` is the spec's key of that name, which may stand instead of `@...`.
    init(parsing text: String, netns: String? = nil) throws(APIErrorBody) {
        let kinds = HookKind.allCases.map(\.rawValue).joined(separator: ", ")
        guard let colon = text.firstIndex(of: ":") else {
            throw .invalidSpec("hook \"\(text)\": expected KIND:PLACE, such as xdp:eth0; kinds: \(kinds)")
        }
        guard let kind = HookKind(rawValue: String(text[..<colon])) else {
            throw .invalidSpec("hook \"\(text)\": there is no hook kind \"\(text[..<colon])\"; kinds: \(kinds)")
        }
        let rest = text[text.index(after: colon)...]
        // The name of a unit may have the sign too.
        guard kind.place == .interface, let at = rest.firstIndex(of: "@") else {
            try self.init(kind: kind, place: String(rest), netns: netns)
            return
        }
        let place = String(rest[rest.index(after: at)...])
        guard netns == nil, !place.isEmpty else {
            throw .invalidSpec("hook \"\(text)\": name the network namespace once, after the @ or by the key netns")
        }
        try self.init(
            kind: kind, place: String(rest[..<at]), netns: place.hasPrefix("/") ? place : Self.netnsFolder + place)
    }

    var description: String {
        guard let netns else { return "\(kind.rawValue):\(place)" }
        let short = netns.hasPrefix(Self.netnsFolder) ? String(netns.dropFirst(Self.netnsFolder.count)) : netns
        return "\(kind.rawValue):\(place)@\(short.contains("/") ? netns : short)"
    }

    /// What must be there for a root to be attached, in words: `interface "eth0"`.
    var target: String {
        switch kind.place {
        case .interface: "interface \"\(place)\"" + (netns.map { " in network namespace \($0)" } ?? "")
        case .cgroup: place.hasPrefix("/") ? "cgroup \(place)" : "cgroup of unit \(place)"
        case .group: "group \(place)"
        }
    }

    /// The same with an article: `an interface "eth0"`.
    var aTarget: String { (kind.place == .interface ? "an " : "a ") + target }

    /// What its programs are loaded as.
    func program(frags: Bool) -> ProgramKind { ProgramKind(hook: kind.rawValue)!.taking(frags: frags) }

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
}

extension HookID {
    private static func isInterfaceName(_ name: String) -> Bool {
        (1...15).contains(name.utf8.count) && name != "." && name != ".."
            && name.utf8.allSatisfy { $0 > 32 && $0 != 127 && !"/:@".utf8.contains($0) }
    }

    private static func isGroupName(_ name: String) -> Bool {
        (1...32).contains(name.utf8.count)
            && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_".contains($0)) }
    }

    /// Why a text names no cgroup; nil if it may.
    static func whyNoCgroup(_ place: String) -> String? {
        guard !place.isEmpty, place.utf8.allSatisfy({ $0 >= 32 && $0 != 127 }) else {
            return "expected a cgroup's path, such as /edge.slice/dns, or a unit's name, such as dns.service"
        }
        guard place.hasPrefix("/") else {
            return Cgroups.isUnit(place)
                ? nil
                : "expected a cgroup's path, which begins with a /, or the name of a .service, .slice, .scope or .socket"
        }
        guard !place.hasPrefix("/sys/fs/cgroup") else {
            return "give the path below the mount of cgroup2, as in /proc/PID/cgroup behind the \"0::\""
        }
        if place == "/" { return nil }
        let parts = place.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard !parts.contains(where: { ["", ".", ".."].contains($0) }) else {
            return "a cgroup's path has no empty part, no \".\" and no \"..\", and no / at its end"
        }
        return nil
    }
}
