// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension Configuration {
    private static let linesShown = 250
    private static let namesShown = 8

    /// The configuration in words.
    func summary(_ checks: CheckPorts) -> [String] {
        var lines = services.prefix(Self.linesShown).map { service in
            let quic = service.quic ? ", QUIC by connection id" : ""
            return "\(service.name): \(service.vip) \(service.protocol.rawValue) \(service.ports) to pool "
                + "\(service.pool)\(quic)"
        }
        if services.count > lines.count { lines.append("and \(services.count - lines.count) more services") }
        lines += pools.prefix(Self.linesShown).map { pool in
            let hash = pool.hash == .source ? " by source address" : ""
            let check =
                pool.check.map {
                    ", checked by \($0.kind.rawValue)\($0.to == .vip ? " through the tunnel" : "") every \($0.interval)"
                } ?? ""
            return "pool \(pool.name): \(list(pool.servers))\(hash), \(pool.encapsulation.rawValue), "
                + "\(pool.entries) entries\(check)"
        }
        if pools.count > Self.linesShown { lines.append("and \(pools.count - Self.linesShown) more pools") }
        if checks.count > 0 {
            lines.append(
                "checks by TCP through the tunnel are from ports \(director.checkPorts): the stage must be at `tc-egress` "
                    + "of the interface too")
        }
        if let local { lines.append("this is server \(local): it takes packets out of tunnels") }
        if icmpEcho { lines.append("answer pings of VIPs") }
        return lines
    }

    /// What an operator may not have meant.
    func warnings(_ layout: ServiceLayout) -> [String] {
        let served = Set(services.map(\.pool))
        let pooled = Set(pools.flatMap(\.servers))
        var lines = pools.filter { !$0.encapsulation.namesHops && $0.servers.count > 1 }.map { pool in
            "pool \(pool.name): packets by \(pool.encapsulation.rawValue) name no second server, so each change of "
                + "its servers, a drain or another weight too, breaks connections"
        }
        lines += pools.filter { !served.contains($0.name) }.map { "pool \($0.name) has no service" }
        let unused = servers.map(\.name).filter { !pooled.contains($0) }
        if !unused.isEmpty { lines.append("no pool has \(list(unused))") }
        let idle = servers.filter { $0.weight == 0 && pooled.contains($0.name) }.map(\.name)
        if !idle.isEmpty {
            lines.append(
                "of weight 0, so without packets, those of its connections included: \(list(idle)); drain a server instead"
            )
        }
        if let local, !pooled.contains(local) { lines.append("this server, \(local), is in no pool") }
        lines += layout.fragmentChoices.map { chosen, others in
            "fragments to \(chosen.vip) \(chosen.protocol.rawValue) have no ports: all go to pool \(chosen.pool), those "
                + "of \(list(others.map(\.name))) too"
        }
        let warnings = lines.prefix(20).map { "warning: \($0)" }
        return lines.count > 20 ? warnings + ["warning: and \(lines.count - 20) more"] : warnings
    }

    private func list(_ names: [String]) -> String {
        let shown = names.prefix(Self.namesShown).joined(separator: ", ")
        return names.count <= Self.namesShown ? shown : "\(shown) and \(names.count - Self.namesShown) more"
    }
}
