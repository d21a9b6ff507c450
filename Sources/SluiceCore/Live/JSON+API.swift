// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

// BTFValue has all that either of these has.

extension JSON {
    /// What a request says.
    init(_ value: JSONValue) { self.init(BTFValue(value)) }
}

extension JSONValue {
    /// What a plugin says.
    init(_ value: JSON) { self.init(BTFValue(value)) }
}
