// SPDX-License-Identifier: Apache-2.0

public import SluiceAPI

extension Manager {
    public func difference(_ hook: String, from: Int?, to: Int?) throws -> GenerationDiff {
        try failing("history \(hook)") {
            let id = try resolve(hook)
            let records = try store.generations(of: id.description)
            func record(_ number: Int) throws -> StoredGeneration {
                if let found = records.first(where: { $0.number == number }) { return found }
                let known = records.map { "\($0.number)" }.reversed().joined(separator: ", ")
                throw APIErrorBody.notFound("there is no record of generation \(number); there are: \(known)")
            }
            // What is live, or was last.
            let newest = records.max { $0.liveOrder < $1.liveOrder }
            guard let live = try directory(id).live() ?? newest?.number else { throw notLive(id) }
            let new = try record(to ?? live)
            // What was live before that one, in the order they went live; else what was built before it.
            let before = records.filter { $0.number != new.number && $0.liveOrder > 0 && $0.liveOrder < new.liveOrder }
                .max { $0.liveOrder < $1.liveOrder }
            guard let from = from ?? before?.number ?? records.first(where: { $0.number < new.number })?.number else {
                throw APIErrorBody.notFound("generation \(new.number) is the first: there is none to compare it with")
            }
            return GenerationDiff(
                hook: id.description, from: from, to: new.number,
                lines: ChainDiff(old: try record(from), new: new.resolved).lines())
        }
    }

    public func events(of hook: String, limit: Int) throws -> [Event] {
        try failing("history \(hook)") {
            try store.events(of: resolve(hook).description, limit: max(0, min(limit, 1000)))
        }
    }
}
