// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// The stage that counts packets by source in a state map: versions from 2.0 on lay the map out otherwise than 1.x, and
/// differ in how they take the old one over.
enum Tally {
    static func object(of version: String) -> String {
        switch version.prefix(2) {
        case "1.": "tally.bpf.o"
        case "2.": "tally_merge.bpf.o"
        default: "tally_lazy.bpf.o"
        }
    }

    static func migration(to version: String) -> Migration {
        switch version.prefix(2) {
        // 5's object has no merge program.
        case "2.", "5.": .merge
        case "3.": .lazy
        case "9.": .refuse
        default: .drop
        }
    }
}
