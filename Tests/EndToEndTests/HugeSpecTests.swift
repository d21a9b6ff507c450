// SPDX-License-Identifier: Apache-2.0

import StageTesting
import Testing

extension EndToEnd {
    /// What nobody writes by hand, but a script that went wrong does.
    @Suite struct HugeSpecTests {
        @Test func aMillionRulesAreRefusedAndChangeNothing() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["volumetric-dos-1_1"])
                try site.start()
                try site.apply(Self.spec(rules: 10))
                let before = try site.history()
                let result = try site.ctl("apply", "-f", "-", input: Self.spec(rules: 1_000_000))
                #expect(!result.succeeded && result.errors.contains("more than 4194304 bytes"), "\(result.errors)")
                #expect(result.errors.split(separator: "\n").count == 1)
                #expect(try site.history() == before)
                // The manager is none the worse for it.
                try site.apply(Self.spec(rules: 11))
            }
        }

        private static func spec(rules: Int) -> String {
            var text =
                "chains:\n  - hook: xdp:edge0\n    stages:\n      - name: dos\n        plugin: volumetric-dos\n"
                + "        config:\n          rules:\n"
            for number in 0..<rules {
                text += "            - {source: 10.\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255)}\n"
            }
            return text
        }
    }
}
