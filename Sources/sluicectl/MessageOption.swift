// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `-m TEXT`: why somebody changes something.
struct MessageOption: ParsableArguments {
    @Option(name: .shortAndLong, help: .init("Why; kept in the chain's history.", valueName: "text"))
    var message = ""
}
