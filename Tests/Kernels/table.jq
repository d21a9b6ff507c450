# SPDX-License-Identifier: Apache-2.0
# The summaries of several kernels, side by side, in Markdown. Usage: jq -rs -f table.jq SUMMARY...
def cell: "\(.passed)" + if .failed > 0 then ", \(.failed) failed" else "" end
    + if .skipped > 0 then ", \(.skipped) skipped" else "" end;

. as $kernels
| "| tests passed | " + (map(.version) | join(" | ")) + " |",
"|---|" + (map("---|") | join("")),
(map(.targets | keys) | add | unique[] | . as $target
    | "| `\($target)` | " + ($kernels | map(.targets[$target] | if . then cell else "none" end) | join(" | ")) + " |"),
"| minutes | " + (map("\((.seconds / 60 * 10 | round) / 10)" + if .ended then "" else ", not to the end" end) | join(" | ")) + " |",
(.[] | .version as $version
    | (.notes[] | "\n\($version): \(.outcome): \(.name): \(.why | join("\n    "))"),
    (.kernel[] | "\n\($version): the kernel says: \(.)"))
