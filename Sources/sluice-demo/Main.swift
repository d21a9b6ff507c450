// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageTesting
import Synchronization

/// `make demo`: Sluice at work on real packets, told in plain words. Ends with 1 when anything is not as told.
@main
enum Demo {
    static func main() {
        // A pipe that closes early must not keep us from cleaning up.
        signal(SIGPIPE, SIG_IGN)
        Interrupt.install()
        let examples = CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : "examples"
        do {
            try Lab.runBlocking { lab in
                let narrator = Narrator()
                try Tour(Edge(lab, narrator), narrator, examples: examples).run()
            }
        } catch {
            put("demo: \(error)\n", to: STDERR_FILENO)
            exit(1)
        }
    }
}

/// Ctrl-C and SIGTERM: noted here, acted on between two steps, so that the lab is always taken down.
enum Interrupt {
    private static let seen = Atomic(false)

    static func install() {
        // Made before a handler may need it.
        seen.store(false, ordering: .relaxed)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number) { _ in Interrupt.seen.store(true, ordering: .relaxed) }
        }
    }

    static func check() throws {
        if seen.load(ordering: .relaxed) { throw LabError("interrupted; everything is taken down") }
    }
}
