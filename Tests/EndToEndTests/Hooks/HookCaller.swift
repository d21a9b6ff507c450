// SPDX-License-Identifier: Apache-2.0

import Foundation
import StageTesting

/// What became of calls that a hook was asked about.
struct CallTally: Equatable, CustomStringConvertible {
    var offered, passed, refused, lost, wrong: UInt64

    /// Whether all fared as without any program.
    var isPerfect: Bool { passed == offered && offered > 0 }

    var description: String {
        "\(offered) offered, \(passed) passed, \(refused) refused, \(lost) lost, \(wrong) wrong"
    }
}

/// A process that does over and over what a hook is asked about: see Tests/Fixtures/HookCaller.
final class HookCaller {
    private let process: LabProcess
    private let file: String

    init(_ lab: Lab, _ arguments: [String], number: Int) throws {
        file = "\(lab.directory)/tally\(number)"
        try Data(count: 64).write(to: URL(filePath: file))
        process = try lab.spawn([BuildProducts.path("hook-caller")] + arguments + ["--tally", file])
    }

    /// So far. What is on its way is offered, and has no outcome yet.
    var tally: CallTally {
        get throws {
            let words = try Data(contentsOf: URL(filePath: file)).withUnsafeBytes {
                Array($0.bindMemory(to: UInt64.self))
            }
            return CallTally(offered: words[0], passed: words[1], refused: words[2], lost: words[3], wrong: words[4])
        }
    }

    var offered: UInt64 { (try? tally.offered) ?? 0 }

    var isRunning: Bool { process.isRunning }

    /// Ends it behind the call that is under way.
    @discardableResult
    func stop() throws -> CallTally {
        process.terminate()
        return try wait()
    }

    func wait() throws -> CallTally {
        let status = try process.wait()
        guard status == .exited(0) else { throw LabError("hook-caller: \(status)\n\(process.errors)") }
        return try tally
    }

    func kill() { process.kill() }
}
