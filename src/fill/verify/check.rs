//! One thing that is compared with a report.

use serde::Serialize;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub what: String,
    /// Whether it is as the report says.
    pub holds: bool,
    /// What is wrong, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Check {
    pub(super) fn passed(what: impl Into<String>) -> Self {
        Self { what: what.into(), holds: true, problem: None }
    }

    pub(super) fn failed(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { what: what.into(), holds: false, problem: Some(problem.into()) }
    }

    pub(super) fn equal(what: impl Into<String>, found: &str, recorded: &str) -> Self {
        match found == recorded {
            true => Self::passed(what),
            false => {
                let problem = format!("is {}, the report says {}", brief(found), brief(recorded));
                Self::failed(what, problem)
            }
        }
    }
}

/// The beginning of a hash; anything else as it is.
fn brief(text: &str) -> String {
    match text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => format!("{}…", &text[..16]),
        false => format!("'{text}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_both_sides_and_hashes_are_cut_short() {
        let differs = Check::equal("seed", "7", "0");
        assert_eq!(differs.problem.as_deref(), Some("is '7', the report says '0'"));
        let [one, other] = ["a", "b"].map(|digit| digit.repeat(64));
        let differs = Check::equal("file", &one, &other);
        let expected = "is aaaaaaaaaaaaaaaa…, the report says bbbbbbbbbbbbbbbb…";
        assert_eq!(differs.problem.as_deref(), Some(expected));
        assert!(Check::equal("file", &one, &one).holds);
    }
}
