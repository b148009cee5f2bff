//! Dimensions that a file leaves open.

/// A dimension of a data input that the file leaves open, and that was taken as 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenDim {
    /// The input.
    pub input: String,
    /// Its axis.
    pub axis: usize,
    /// What the file calls the dimension, if it has a name.
    pub symbol: Option<String>,
}

impl OpenDim {
    /// That it was taken as 1, as a sentence for the user.
    pub fn notice(&self) -> String {
        let Self { input, axis, symbol } = self;
        match symbol {
            Some(symbol) => format!(
                "input '{input}': dimension '{symbol}' is taken as 1; set it with --dim {symbol}=SIZE"
            ),
            None => format!(
                "input '{input}': axis {axis} has neither size nor name and is taken as 1; export the \
                 network with one of them"
            ),
        }
    }

    /// What to do where a network does not work at the sizes it was read with; empty if no other
    /// dimension than that of the batch, the first, is open.
    pub fn advice(open: &[Self]) -> String {
        let sizes: Vec<&Self> = open.iter().filter(|dim| dim.axis > 0).collect();
        let Some(first) = sizes.first() else { return String::new() };
        let named = |dim: &&Self| match &dim.symbol {
            Some(symbol) => format!("'{symbol}'"),
            None => format!("axis {} of input '{}'", dim.axis, dim.input),
        };
        let names: Vec<String> = sizes.iter().map(named).collect();
        let way_out = match sizes.iter().find_map(|dim| dim.symbol.as_ref()) {
            Some(_) => {
                let symbols = sizes.iter().filter_map(|dim| dim.symbol.as_ref());
                let flags: Vec<String> =
                    symbols.map(|symbol| format!("--dim {symbol}=SIZE")).collect();
                format!("set their sizes with {}", flags.join(" "))
            }
            None => "export the network with their sizes".to_owned(),
        };
        format!(
            "input '{}' leaves {} open, taken as 1 each; {way_out}",
            first.input,
            names.join(" and ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(axis: usize, symbol: Option<&str>) -> OpenDim {
        OpenDim { input: "x".to_owned(), axis, symbol: symbol.map(str::to_owned) }
    }

    #[test]
    fn advice_names_what_can_be_set_and_leaves_the_batch_alone() {
        assert_eq!(OpenDim::advice(&[open(0, Some("n"))]), "");
        let images = [open(0, Some("n")), open(2, Some("h")), open(3, Some("w"))];
        let advice = OpenDim::advice(&images);
        assert!(advice.contains("'h' and 'w'"), "{advice}");
        assert!(advice.ends_with("--dim h=SIZE --dim w=SIZE"), "{advice}");
        assert!(OpenDim::advice(&[open(2, None)]).contains("axis 2"));
    }
}
