//! One event as one line of JSON.
//!
//! The access log is a line for every request, and the ecosystem's own JSON writer took a quarter of all
//! instructions that a request cost. This one writes each value once, to where it stays: `timestamp`,
//! `level`, the fields of the event in their order, `target`.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes events as JSON, each on a line of its own. Spans are left out: there are none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        let metadata = event.metadata();
        write!(writer, "\",\"level\":\"{}\"", metadata.level())?;
        let mut fields = Fields { writer: &mut writer, written: Ok(()) };
        event.record(&mut fields);
        fields.written?;
        writer.write_str(",\"target\":\"")?;
        Escaped(&mut writer).write_str(metadata.target())?;
        writer.write_str("\"}\n")
    }
}

/// Writes each field as a member of the object that is open.
struct Fields<'a, W> {
    writer: &'a mut W,
    written: fmt::Result,
}

impl<W: Write> Fields<'_, W> {
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut W) -> fmt::Result) {
        if self.written.is_ok() {
            self.written = self.write_member(field, value);
        }
    }

    fn write_member(&mut self, field: &Field, value: impl FnOnce(&mut W) -> fmt::Result) -> fmt::Result {
        self.writer.write_str(",\"")?;
        Escaped(self.writer).write_str(field.name())?;
        self.writer.write_str("\":")?;
        value(self.writer)
    }

    fn number(&mut self, field: &Field, value: impl fmt::Display) {
        self.member(field, |writer| write!(writer, "{value}"));
    }
}

impl<W: Write> Visit for Fields<'_, W> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, |writer| {
            writer.write_char('"')?;
            Escaped(writer).write_str(value)?;
            writer.write_char('"')
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.member(field, |writer| {
            writer.write_char('"')?;
            write!(Escaped(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.number(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }

    /// JSON has no infinity and no "not a number": they are written as text.
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() { self.number(field, value) } else { self.record_debug(field, &value) }
    }
}

/// Writes what belongs into a string of JSON (RFC 8259 §7), and the other control characters escaped too,
/// because a terminal obeys some of them.
struct Escaped<'a, W>(&'a mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Nearly always; and looked at without a branch for each byte.
        if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
            return self.0.write_str(text);
        }
        let mut plain = 0;
        for (at, char) in text.char_indices().filter(|(_, char)| is_escaped(*char)) {
            self.0.write_str(&text[plain..at])?;
            plain = at + char.len_utf8();
            match char {
                '"' => self.0.write_str("\\\"")?,
                '\\' => self.0.write_str("\\\\")?,
                '\n' => self.0.write_str("\\n")?,
                '\r' => self.0.write_str("\\r")?,
                '\t' => self.0.write_str("\\t")?,
                other => write!(self.0, "\\u{:04x}", u32::from(other))?,
            }
        }
        self.0.write_str(&text[plain..])
    }
}

/// Printable ASCII that means nothing in a string of JSON.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn is_escaped(char: char) -> bool {
    char == '"' || char == '\\' || char.is_control()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// What was logged meanwhile, a line an event.
    fn logged(log: impl FnOnce()) -> Vec<Value> {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::fmt().event_format(Json).with_writer(kept.clone()).finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = kept.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.chars().any(|char| char.is_control() && char != '\n'), "{text:?}");
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// G13
    #[test]
    fn every_kind_of_value_reads_back() {
        let lines = logged(|| {
            tracing::info!(
                target: "locum::access",
                text = "a",
                count = 7_u64,
                below = -7_i64,
                wide = 8_u128,
                yes = true,
                ratio = 0.5,
                endless = f64::INFINITY,
                shown = %"b",
                debugged = ?Some("c"),
                absent = None::<&str>,
                "said"
            );
        });
        let [Value::Object(line)] = lines.as_slice() else { panic!("{lines:?}") };
        let mut line = line.clone();
        let timestamp = line.remove("timestamp").unwrap();
        assert!(timestamp.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{timestamp}");
        let rest = json!({
            "level": "INFO", "target": "locum::access", "message": "said", "text": "a", "count": 7, "below": -7, "wide": 8,
            "yes": true, "ratio": 0.5, "endless": "inf", "shown": "b", "debugged": "Some(\"c\")",
        });
        assert_eq!(Value::Object(line), rest);
    }

    proptest! {
        /// G13, LG-002: whatever a client sent stays inside of its value, and reads back as it was.
        #[test]
        fn any_text_stays_in_its_value(text in any::<String>(), shown in any::<String>()) {
            let lines = logged(|| tracing::warn!(text, %shown));
            prop_assert_eq!(lines.len(), 1);
            prop_assert_eq!(&lines[0]["text"], &Value::from(text));
            prop_assert_eq!(&lines[0]["shown"], &Value::from(shown));
        }
    }
}
