// SPDX-License-Identifier: Apache-2.0

import StageTesting
import Testing

/// Tests of the whole: the real daemon, the real CLI, real plugins and packets, in a lab. One at a time.
@Suite(.serialized, .enabled(if: Lab.isAvailable, "needs root"))
enum EndToEnd {}
