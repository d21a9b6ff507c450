// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// What follows from the samples.
public enum AutoAction: Sendable, Equatable {
    /// Change the stage; then ``TrafficWatch/done(_:at:)`` or ``TrafficWatch/refused(_:_:at:)`` is to be called.
    case change(AutoChange)
    /// Say this in the log.
    case log(String)
}

/// A change of the live stage.
public struct AutoChange: Sendable, Equatable {
    /// As `sluicectl rule add` makes it.
    public let request: JSON
    /// What for, for history.
    public let reason: String
    /// The rules that it adds, or whose end it puts off.
    let names: [String]

    /// - Parameter ttl: In seconds.
    init(_ rules: [Rule], ttl: Int, reason: String) {
        let list = rules.map { rule in
            var json = (try? JSON(encoding: rule)) ?? [:]
            if case .object(var object) = json {
                object["ttl"] = .string("\(ttl)s")
                json = .object(object)
            }
            return json
        }
        request = ["add": .array(list)]
        names = rules.compactMap(\.name)
        // As long as the manager takes it in one line.
        self.reason = reason.utf8.count <= 200 ? reason : String(reason.prefix(190)) + "..."
    }
}
