// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI
import Testing

@testable import sluicectl

/// What people read, as text.
@Suite struct RenderingTests {
    @Test func chainsInATable() {
        #expect(
            Status.text([Samples.chain, Samples.emptyChain], .plain) == """
                HOOK      STATE    GEN  MODE      PACKETS    DROPPED  STAGES   SINCE
                xdp:eth0  live       3  native  1,234,567  1,000,000  dos 1.1  2026-01-02T03:04:05Z
                xdp:eth1  missing    -  -               -          -  dos 1.1  -
                note: xdp:eth0: generic mode: slow

                """)
        #expect(Status.text([], .plain) == "no chains; sluicectl apply -f FILE makes one\n")
    }

    @Test func programsOfOthersBesideTheChains() {
        let overview = Overview(chains: [], others: Samples.programs)
        #expect(
            overview.text(.plain) == """
                no chains; sluicectl apply -f FILE makes one

                PLACE       HOOK                PROGRAM        ID  LINK  OF        PINNED
                eth0        xdp native          sluice_root     7     3  xdp:eth0  /sys/fs/bpf/sluice/xdp:eth0/root
                eth1@edge   tcx egress          -               9     -  others    -
                /dns.slice  cgroup skb-ingress  sd_fw_ingress  11     -  others    -
                note: /run/netns/far: not looked into

                """)
        #expect(
            Overview(chains: [], others: ProgramReport(programs: [], notes: [])).text(.plain)
                == "no chains; sluicectl apply -f FILE makes one\n\nno programs on interfaces and cgroups\n")
    }

    @Test func oneChain() {
        #expect(
            Status.text(Samples.chain, .plain) == """
                xdp:eth0: live, generation 3, native mode, on fault: pass, since 2026-01-02T03:04:05Z
                  STAGE  RUNS                  PACKETS           BYTES     NEXT  PASS       DROP
                  dos    volumetric-dos 1.1  1,234,567  98,765,432,100  234,567     0  1,000,000
                  7 packets found no live generation: they were given the verdict "pass"
                  note: generic mode: slow
                  note: nothing was filtered for 3.21 s after the boot

                """)
    }

    @Test func aChainWithACanaryOnIt() {
        #expect(
            Status.text(Samples.canaryChain, .plain) == """
                xdp:eth0: live, generation 3, native mode, on fault: pass, since 2026-01-02T03:04:05Z
                  STAGE  RUNS                  PACKETS           BYTES     NEXT  PASS       DROP
                  dos    volumetric-dos 1.1  1,234,567  98,765,432,100  234,567     0  1,000,000
                  canary: generation 4 has 10% of the flows, step 2 of 3, 107.5 s until it is promoted
                  aborted if drop>+1%
                  TRAFFIC  SIDE            PACKETS           BYTES     NEXT  PASS       DROP
                  live     generation 3  1,234,567  98,765,432,100  234,567     0  1,000,000
                  canary   generation 4        100           6,400        0     0         25
                  STAGE  RUNS                PACKETS  BYTES  NEXT  PASS  DROP
                  dos    volumetric-dos 1.2        -      -     -     -     -
                  7 packets found no live generation: they were given the verdict "pass"
                  note: nothing was filtered for 3.21 s after the boot

                """)
        #expect(
            Status.text([Samples.canaryChain], .plain).contains(
                "canary: generation 4 has 10% of the flows: 100 packets, drop 25% against 81%, 107.5 s left"))
    }

    @Test func statsWithTheStagesOwnTables() {
        #expect(
            Stats.text(Samples.stats, nil, .plain) == """
                xdp:eth0: generation 3
                  STAGE       PACKETS           BYTES     NEXT  PASS       DROP
                  dos       1,234,567  98,765,432,100  234,567     0  1,000,000
                  balancer          -               -        -     -          -

                  dos
                  RULES  PACKETS  BYTES
                  allow        5  1,500
                  ntp    123,456      9

                  dos
                  HITS                   LAST
                  allow  2026-01-02T03:04:05Z
                  ntp                   never

                """)
    }

    @Test func changesAndTablesOfLiveStages() throws {
        #expect(
            Samples.stageChange.text(.plain, verbose: true) == """
                xdp:eth0 dos: generation 3
                  added rule x
                  note: both see it
                  STEP       MS
                  plugin  12.35
                  total   12.35

                """)
        #expect(
            Samples.inspection.text(.plain) == """
                RULE                     PACKETS  LAST
                x                          1,234  2026-01-02T03:04:05Z
                y     18,446,744,073,709,551,615  -
                note: 254 slots are free

                """)
        var none = Samples.inspection
        (none.rows, none.notes) = ([], [])
        #expect(none.text(.plain) == "none\n")
    }

    @Test func ratesAreOfTheSameGenerationOnly() {
        var later = Samples.stats
        later.stages[0].counters?.packets += 5_000
        let rates = Stats.Rates(from: Samples.stats, to: later, over: .seconds(2))
        #expect(rates.packets == ["dos": 2_500])
        #expect(Stats.text(later, rates, .plain).contains("dos       2,500 packets/s  1,239,567"))
        later.generation += 1
        #expect(Stats.Rates(from: Samples.stats, to: later, over: .seconds(2)).packets.isEmpty)
        #expect(Stats.Rates(from: later, to: Samples.stats, over: .seconds(2)).packets.isEmpty)
    }

    @Test func history() {
        #expect(
            History.text([Samples.generation], .plain, verbose: false) == """
                GEN  STATE  CREATED               AUTHOR        STAGES                  MESSAGE
                  3  live   2026-01-02T03:04:05Z  root (uid 0)  dos volumetric-dos 1.1  an attack

                """)
        #expect(History.text([Samples.generation], .plain, verbose: true).contains("\n  ~ stage dos: 1.0 -> 1.1\n"))
    }

    @Test func pluginsSayWhyTheyCannotBeUsed() {
        #expect(
            Plugins.text([Samples.plugin], .plain) == """
                NAME            VERSION  HOOKS  USED BY       SUMMARY
                volumetric-dos  1.1      xdp    xdp:eth0 dos  unusable: no object file

                """)
    }

    @Test func eventsAndTheFollowedLine() {
        #expect(
            Events.text([Samples.event(41)], .plain) == """
                ID  TIME                  ACTION  HOOK      OUTCOME  AUTHOR        MESSAGE
                41  2026-01-02T03:04:05Z  apply   xdp:eth0  done     root (uid 0)  generation 41

                """)
        #expect(
            Events.line(Samples.event(41), .plain)
                == "2026-01-02T03:04:05Z apply xdp:eth0 done (root (uid 0)): generation 41\n")
    }

    @Test func changesAndDetaching() {
        #expect(
            Samples.change.text(.plain, verbose: false) == "xdp:eth0: generation 2 -> 3\n  built generation 3\n")
        let detached = ChainChange(hook: "xdp:eth0", from: 3, to: nil, lines: [], timings: [])
        #expect(detached.text(.plain, verbose: true) == "xdp:eth0: detached, generation 3 was live\n")
        #expect(ChangeReport(chains: []).text(.plain, verbose: false) == "nothing to change\n")
    }

    @Test func aPlanWithoutChanges() {
        let plan = PlanReport(chains: [ChainPlan(hook: "xdp:eth0", action: .none, lines: [], notes: [])])
        #expect(plan.text(.plain) == "no changes\n")
    }

    @Test func colourTakesNoRoom() {
        let painted = Style(isColoured: true)
        let coloured = Status.text([Samples.chain, Samples.emptyChain], painted)
        #expect(coloured.contains("\u{1B}[32mlive\u{1B}[0m     "))
        #expect(
            coloured.replacing(/\u{1B}\[[0-9]+m/, with: "") == Status.text([Samples.chain, Samples.emptyChain], .plain))
        #expect(Style.plain.diff("+ x") == "+ x")
        #expect(painted.diff("- x") == "\u{1B}[31m- x\u{1B}[0m")
    }

    @Test(
        arguments: [
            (0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"),
            (UInt64.max, "18,446,744,073,709,551,615"),
        ] as [(UInt64, String)])
    func thousands(value: UInt64, text: String) {
        #expect(grouped(value) == text)
    }

    @Test(arguments: [
        (["--socket", "s", "-v", "status", "xdp:eth0"], ["status", "--socket", "s", "-v", "xdp:eth0"]),
        (["-o", "json", "gc"], ["gc", "-o", "json"]), (["--socket=s", "gc"], ["gc", "--socket=s"]),
        (["status", "-v"], ["status", "-v"]), (["--help"], ["--help"]), (["-v"], ["-v"]), (["--socket"], ["--socket"]),
        (["--socket", "s", "--version"], ["--socket", "s", "--version"]), ([], []),
    ])
    func globalOptionsMayComeFirst(typed: [String], arranged: [String]) {
        #expect(Main.arrange(typed) == arranged)
    }

    /// The help is what people meet first: every command is in it, with what it is for, inside 80 columns.
    @Test func helpNamesEveryCommand() {
        let help = Sluicectl.helpMessage(columns: 80)
        for command in [
            "plan", "apply", "status", "history", "rollback", "upgrade", "detach", "plugins", "events", "stats",
            "doctor", "gc", "version", "rule", "lb",
        ] {
            #expect(help.contains(try! Regex("\\n  \(command) +[A-Z]")), "\(command)")
        }
        #expect(help.split(separator: "\n").allSatisfy { $0.count <= 80 })
        #expect(help.contains("Exit status: 0 done, 1 failed"))
    }

    @Test func whatTheKernelGives() {
        #expect(
            Probe.text(Samples.probe, .plain) == """
                Linux 6.1.0
                WHAT  NAME  THERE  WHY
                hook  tcx   no     not supported (requires Linux 6.6); boot a newer kernel
                hook  xdp   yes    packets off the wire
                all that Sluice needs is there

                """)
        #expect(
            History.text(Samples.diff, .plain)
                == "xdp:eth0: generation 2 -> 3\n  ~ stage dos:\n      ~ limit: 1 -> 2\n")
    }

    @Test func mapsAndWhatIsInThem() {
        #expect(
            MapList.text(Samples.maps, .plain, verbose: false) == """
                MAP    TYPE         ENTRIES    MAX  ROLE                   KEY          VALUE
                flows  percpu_hash        1  4,096  state                  struct flow  __u64
                ring   ringbuf            -  8,192  configuration, frozen  -            -

                """)
        var dump = Samples.dump
        dump.map.more = true
        #expect(
            MapShow.text(dump, .plain) == """
                percpu_hash, generation 3: struct flow {port: __be16} -> __u64
                KEY           VALUE  CPUS
                {"port":443}  3      1 2
                there are more than these 1; see --limit

                """)
        #expect(
            JSONValue(typed: "10.0.0.1") == "10.0.0.1" && JSONValue(typed: "18446744073709551615") == .unsigned(.max))
    }

    @Test func helpOfACommandWithAllOfItsOptions() {
        #expect(
            Sluicectl.helpMessage(for: Rollback.self, columns: 80) == """
                OVERVIEW: Flip a chain back to an earlier generation.

                One write to a pinned slot: it needs no plugin, no verifier and no build.
                `sluicectl history HOOK` shows which generations are kept.

                USAGE: sluicectl rollback <hook> [--to <n>] [--message <text>] [--socket <path>] [--output <output>] [--verbose] [--no-color]

                ARGUMENTS:
                  <hook>                  The chain's hook, as in xdp:eth0.

                OPTIONS:
                  --to <n>                The generation (default: the one that was live
                                          before).
                  -m, --message <text>    Why; kept in the chain's history.
                  --socket <path>         The daemon's socket (default: $SLUICE_SOCKET, else
                                          /run/sluice/sluiced.sock).
                  -o, --output <output>   How to print. (values: table, json, yaml; default:
                                          table)
                  -v, --verbose           More: an error's whole detail (the verifier's log),
                                          changes, timings.
                  --no-color              No colour, as if stdout were no terminal; $NO_COLOR
                                          does the same.
                  --version               Show the version.
                  -h, --help              Show help information.

                """)
    }
}
