// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

@main
enum Main {
    static func main() async {
        await Sluicectl.main(Self.arrange(Array(CommandLine.arguments.dropFirst())))
    }

    /// `sluicectl --socket PATH status` as `sluicectl status --socket PATH`: ArgumentParser has an option where its
    /// command is, people have these where they like.
    static func arrange(_ arguments: [String]) -> [String] {
        let withValue = ["--socket", "--output", "-o"]
        let alone = ["--verbose", "-v", "--no-color"]
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            if withValue.contains(argument) {
                index += 2
            } else if alone.contains(argument) || withValue.contains(where: { argument.hasPrefix($0 + "=") }) {
                index += 1
            } else {
                break
            }
        }
        guard index > 0, index < arguments.count, !arguments[index].hasPrefix("-") else { return arguments }
        // Some have commands of their own, which is where the options go then.
        let hasCommands = ["canary", "lb", "map", "rule", "socket"].contains(arguments[index])
        let end = min(index + (hasCommands ? 2 : 1), arguments.count)
        return Array(arguments[index..<end] + arguments[..<index] + arguments[end...])
    }
}
