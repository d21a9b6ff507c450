// SPDX-License-Identifier: Apache-2.0

/// Measurements of one thing, and what may be quoted of them on a shared machine: the minimum and the median.
struct Series: Encodable {
    private(set) var values: [Double] = []
    private var best: Double?

    var minimum: Double { best ?? values.min() ?? .nan }
    var maximum: Double { values.max() ?? .nan }
    var median: Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return .nan }
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }

    mutating func add(_ value: Double) { values.append(value) }

    /// What is left of each sample without that of another series, measured side by side; the minimum is that of the
    /// two minima.
    static func - (all: Series, part: Series) -> Series {
        var result = Series()
        result.values = zip(all.values, part.values).map { $0 - $1 }
        result.best = all.minimum - part.minimum
        return result
    }

    private enum CodingKeys: String, CodingKey { case minimum, median, samples }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(minimum, forKey: .minimum)
        try container.encode(median, forKey: .median)
        try container.encode(values.count, forKey: .samples)
    }
}

/// One line of the bench.
struct Figure: Encodable {
    var name: String
    var unit: String
    var series: Series
    /// What it is held against in the same run, and the goal, in words.
    var note: String

    init(_ name: String, _ unit: String, _ series: Series, note: String = "") {
        self.name = name
        self.unit = unit
        self.series = series
        self.note = note
    }
}

extension Double {
    /// With as many digits as mean something.
    var short: String {
        let digits = self >= 100 ? 0 : self >= 10 ? 1 : 2
        let scale = [1.0, 10, 100][digits]
        let rounded = (self * scale).rounded() / scale
        return digits == 0 ? "\(Int(rounded))" : "\(rounded)"
    }
}
