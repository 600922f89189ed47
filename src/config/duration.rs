//! Durations as people write them: `250ms`, `2s`, `15m`, `12h`, `90d`, `2w`.

use std::time::Duration;

/// The longest duration that can be written, so that adding one to an instant never overflows.
const LONGEST_DAYS: u64 = 3650;

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("give a whole number and one of `ms`, `s`, `m`, `h`, `d`, `w`, such as `250ms` or `15m`")]
    Shape,
    #[error("give at most `{LONGEST_DAYS}d`")]
    TooLong,
}

/// Reads a whole number and a unit, nothing between them and nothing around.
///
/// # Errors
/// When the text has another shape, or the duration is longer than ten years.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return Err(DurationError::Shape),
    };
    if number.is_empty() {
        return Err(DurationError::Shape);
    }
    let duration = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(milliseconds))
        .map(Duration::from_millis)
        .ok_or(DurationError::TooLong)?;
    if duration > Duration::from_secs(LONGEST_DAYS * 86_400) {
        return Err(DurationError::TooLong);
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_what_it_says() {
        let seconds = |text| parse(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("250ms"), Ok(0.25));
        assert_eq!(seconds("2s"), Ok(2.0));
        assert_eq!(seconds("15m"), Ok(900.0));
        assert_eq!(seconds("12h"), Ok(43_200.0));
        assert_eq!(seconds("90d"), Ok(90.0 * 86_400.0));
        assert_eq!(seconds("2w"), seconds("14d"));
        assert_eq!(seconds("0s"), Ok(0.0));
    }

    #[test]
    fn what_is_not_a_number_and_a_unit_is_refused() {
        for text in ["", "5", "s", "1.5s", "-1s", "+1s", "1 s", " 1s", "1S", "1h30m", "٣s", "1y"] {
            assert_eq!(parse(text), Err(DurationError::Shape), "{text:?}");
        }
    }

    #[test]
    fn ten_years_are_the_end() {
        assert!(parse("3650d").is_ok());
        assert_eq!(parse("3651d"), Err(DurationError::TooLong));
        assert_eq!(parse("99999999999999999999s"), Err(DurationError::TooLong));
        assert_eq!(parse("18446744073709551615w"), Err(DurationError::TooLong));
    }
}
