//! Several spaces in one file.

use toml::{Table, Value};

use super::{
    derive,
    space::{Space, SpaceError, malformed},
};

impl Space {
    /// The spaces of a file: what they share under `[base]`, what each changes and its name under
    /// `[[spaces]]`. `name` is for messages.
    pub fn list(name: &str, text: &str) -> Result<Vec<Self>, SpaceError> {
        let mut table: Table = text.parse().map_err(|error| malformed(name, &error))?;
        let wrong =
            |problem: &str| SpaceError::Malformed { name: name.into(), problem: problem.into() };
        let (Some(Value::Table(base)), Some(Value::Array(spaces))) =
            (table.remove("base"), table.remove("spaces"))
        else {
            return Err(wrong("has no table [base] and no list [[spaces]]"));
        };
        let space = |changes: Value| {
            let Value::Table(changes) = changes else {
                return Err(wrong("'spaces' is no list of tables"));
            };
            let mut table = base.clone();
            derive::merge(&mut table, changes);
            let label = table.get("name").and_then(Value::as_str).unwrap_or(name).to_owned();
            Self::from_table(&label, table)
        };
        spaces.into_iter().map(space).collect()
    }
}
