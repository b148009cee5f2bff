//! Telling cards that were written here from texts of others.

/// What cards written here say in their heads, and others do not.
pub(super) const MARK: &str = "library_name: weightsmith\n";

/// Whether a file is a card that was written here.
pub(in super::super) fn is_own_card(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let head = text.strip_prefix("---\n").and_then(|rest| rest.split("\n---\n").next());
    head.is_some_and(|head| format!("{head}\n").contains(MARK))
}

#[cfg(test)]
mod tests {
    use super::is_own_card;

    #[test]
    fn only_cards_of_this_program_are_its_own() {
        assert!(is_own_card(b"---\nlibrary_name: weightsmith\ntags:\n- onnx\n---\n# net\n"));
        assert!(!is_own_card(b"# My project\n\nlibrary_name: weightsmith\n"));
        assert!(!is_own_card(b"---\ntags: [a]\n---\nlibrary_name: weightsmith\n"));
        assert!(!is_own_card(b""));
    }
}
