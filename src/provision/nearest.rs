//! Which names were perhaps meant: for the message that says a name is unknown.

/// How alike two names have to be, 0 to 1 by Jaro–Winkler on their folded forms.
const ALIKE: f64 = 0.80;

/// How many are suggested.
const SUGGESTED: usize = 3;

/// The names most like `wanted`, best first.
pub(super) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let folded = wanted.to_ascii_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| (strsim::jaro_winkler(&folded, &name.to_ascii_lowercase()), name))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.into_iter().take(SUGGESTED).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_alike_come_first_and_strangers_not_at_all() {
        let names = ["billing-ci", "billing", "Bob", "reports"];
        assert_eq!(nearest("biling", names.into_iter()), ["billing", "billing-ci"]);
        assert_eq!(nearest("BOB", names.into_iter()), ["Bob"]);
        assert!(nearest("zzz", names.into_iter()).is_empty());
    }
}
