//! Sizes as people write them: `512B`, `64KiB`, `10MiB`, `2GiB`.

/// Why a text is not a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    #[error("give a whole number and one of `B`, `KiB`, `MiB`, `GiB`, such as `10MiB`")]
    Shape,
    #[error("give at most `1048576GiB`")]
    TooLarge,
}

/// Reads a whole number of bytes and its unit, nothing between them and nothing around.
///
/// # Errors
/// When the text has another shape, or the size is more than a pebibyte.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    const LARGEST: u64 = 1 << 50;
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let bytes: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(SizeError::Shape),
    };
    if number.is_empty() {
        return Err(SizeError::Shape);
    }
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(bytes));
    size.filter(|size| *size <= LARGEST).ok_or(SizeError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_of_a_size_is_what_it_says() {
        assert_eq!(parse("0B"), Ok(0));
        assert_eq!(parse("512B"), Ok(512));
        assert_eq!(parse("64KiB"), Ok(65_536));
        assert_eq!(parse("10MiB"), Ok(10_485_760));
        assert_eq!(parse("2GiB"), Ok(2_147_483_648));
        for text in ["", "10", "10M", "10MB", "10 MiB", "-1B", "1.5MiB", "MiB", "10mib", "٣B"] {
            assert_eq!(parse(text), Err(SizeError::Shape), "{text:?}");
        }
        for text in ["1048577GiB", "99999999999999999999B", "18446744073709551615GiB"] {
            assert_eq!(parse(text), Err(SizeError::TooLarge), "{text:?}");
        }
    }
}
