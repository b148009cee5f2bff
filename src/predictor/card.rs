//! What the model card of a predictor says that is of use to whoever uses its weights.

/// The licence of a predictor and what it was trained on, as far as its card (`README.md`) says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// `license` of the card's head.
    pub licence: Option<String>,
    /// `datasets` of the card's head.
    pub datasets: Vec<String>,
    /// The paragraph that begins with `**Data**`: data sets and their terms.
    pub data: Option<String>,
}

impl Card {
    /// Reads a card. What it does not say stays empty.
    pub fn parse(text: &str) -> Self {
        let (head, body) = split(text);
        let field =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let listed = field("datasets").map(|list| list.trim().trim_matches(['[', ']']));
        let names = listed.into_iter().flat_map(|list| list.split(','));
        let names = names.map(|name| name.trim().trim_matches(['"', '\'']).to_owned());
        Self {
            licence: field("license").map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()),
            datasets: names.filter(|name| !name.is_empty()).collect(),
            data: paragraph(body, "- **Data**:"),
        }
    }

    /// With what another card says where this one is silent, and its data sets.
    pub(super) fn or(mut self, other: Self) -> Self {
        for name in other.datasets {
            if !self.datasets.contains(&name) {
                self.datasets.push(name);
            }
        }
        Self { licence: self.licence.or(other.licence), data: self.data.or(other.data), ..self }
    }
}

/// The head between two lines of dashes, and the rest.
fn split(text: &str) -> (&str, &str) {
    text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")).unwrap_or(("", text))
}

/// An item of a list in one line, without its mark.
fn paragraph(body: &str, mark: &str) -> Option<String> {
    let start = body.find(mark)? + mark.len();
    let mut lines = body[start..].lines();
    let first = lines.next()?;
    let rest = lines.take_while(|line| line.starts_with("  ") && !line.trim().is_empty());
    let words = [first].into_iter().chain(rest).flat_map(str::split_whitespace);
    Some(words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::Card;

    #[test]
    fn head_and_data_are_read_and_silence_is_filled() {
        let text = "---\nlicense: mit\ndatasets: [cifar10, \"own\"]\n---\n# name\n\n- **Data**: CIFAR-10\n  (no licence).\n- **Limits**: many\n";
        let card = Card::parse(text);
        assert_eq!(card.licence.as_deref(), Some("mit"));
        assert_eq!(card.datasets, ["cifar10", "own"]);
        assert_eq!(card.data.as_deref(), Some("CIFAR-10 (no licence)."));
        assert_eq!(Card::parse("no head"), Card::default());
        let joined = Card::parse("---\ndatasets: [mnist]\n---\n").or(card.clone());
        assert_eq!(joined.datasets, ["mnist", "cifar10", "own"]);
        assert_eq!((joined.licence, joined.data), (card.licence, card.data));
    }
}
