// SPDX-License-Identifier: Apache-2.0

extension ObjectSchema {
    static let canaries: [ObjectSchema] = [
        .init(
            "CanaryRequest", "How a change is tried on a share of the flows before it gets all of them.",
            [
                .needed("shares", .array(.number), "In percent, a step each; they rise, above 0 and below 100."),
                .needed("seconds", .number, "How long each step lasts."),
                .optional(
                    "abortIf", .array(.string),
                    "Ends it early: `drop>+1%` when the candidate's share of drops is more than a percentage point above "
                        + "the live generation's, `drop<-1%` when it is more below."),
                .optional("minPackets", .integer, "What the candidate must have seen to be judged within a step."),
            ]),
        .init(
            "CanaryEndRequest", "Ends a canary by hand.", [.needed("message", .string, "Kept in the audit trail.")]),
        .init(
            "CanaryStatus", "A canary that is under way.",
            [
                .needed("candidate", .integer, "The generation that is tried."),
                .needed("share", .number, "Its share of the flows now, in percent."),
                .needed("shares", .array(.number), "Those of all steps."),
                .needed("step", .integer, "Which of them it is at, from 1 on."),
                .needed("seconds", .number, "How long each step lasts."),
                .needed("elapsed", .number, "How many seconds of this step have been watched."),
                .needed("remaining", .number, "Seconds until it is promoted if nothing happens."),
                .needed("abortIf", .array(.string), "What ends it early."),
                .needed("minPackets", .integer, "What the candidate must have seen to be judged within a step."),
                .needed("stable", .object("StageCounters"), "The live generation's verdicts since it began."),
                .needed("tried", .object("StageCounters"), "The candidate's verdicts."),
                .needed("stages", .array(.object("StageStatus")), "The candidate's stages."),
            ]),
    ]
}
