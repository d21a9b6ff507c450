// SPDX-License-Identifier: Apache-2.0

import CSystemd
import Glibc
import Logging

/// Logs to the journal, field by field, when stderr is the journal; else a line a message to stderr.
struct LogOutput: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    private let isJournal: Bool

    init(level: Logger.Level) {
        logLevel = level
        isJournal = Self.stderrIsJournal()
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        if isJournal {
            Self.sendToJournal(
                ["MESSAGE=\(event.message)", "PRIORITY=\(Self.priority(event.level))", "SYSLOG_IDENTIFIER=sluiced"]
                    + fields.map { "SLUICE_\(Self.fieldName($0.key))=\($0.value)" })
        } else {
            let suffix = fields.map { " \($0.key)=\($0.value)" }.joined()
            let line = "sluiced: \(event.level): \(event.message)\(suffix)\n"
            _ = line.utf8.withContiguousStorageIfAvailable { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        }
    }

    /// systemd sets `JOURNAL_STREAM` to device and inode of the stream it gave; a redirection makes them differ.
    private static func stderrIsJournal() -> Bool {
        guard let stream = getenv("JOURNAL_STREAM") else { return false }
        var status = stat()
        return fstat(STDERR_FILENO, &status) == 0 && String(cString: stream) == "\(status.st_dev):\(status.st_ino)"
    }

    private static func sendToJournal(_ fields: [String]) {
        let texts = fields.map { strdup($0) }
        defer { texts.forEach { free($0) } }
        let vectors = texts.map { iovec(iov_base: $0, iov_len: strlen($0!)) }
        sd_journal_sendv(vectors, CInt(vectors.count))
    }

    /// syslog(3)'s levels.
    private static func priority(_ level: Logger.Level) -> CInt {
        switch level {
        case .trace, .debug: LOG_DEBUG
        case .info: LOG_INFO
        case .notice: LOG_NOTICE
        case .warning: LOG_WARNING
        case .error: LOG_ERR
        case .critical: LOG_CRIT
        }
    }

    /// A field's name takes capitals, digits and underscores.
    private static func fieldName(_ key: String) -> String {
        String(key.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    }
}
