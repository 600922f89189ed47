//! Where a sealed value stands. It opens there and nowhere else.

/// A table, a column and a row. Who moves a ciphertext to another row, column or table moves something
/// that does not open (E1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    pub table: &'static str,
    pub column: &'static str,
    /// What tells this row from all others of its table, for as long as the value stands there.
    pub row: &'a [u8],
}

impl Place<'_> {
    /// Each part with its length before it, so that no two places have the same bytes.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [self.table.as_bytes(), self.column.as_bytes(), self.row] {
            let length = u32::try_from(part.len()).expect("names and rows are short");
            bytes.extend(length.to_be_bytes());
            bytes.extend(part);
        }
        bytes
    }
}
