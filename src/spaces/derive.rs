//! A space that is another one with changes.

use toml::{Table, Value};

/// What tells the elements of an array of tables apart. Those that have the first are the same element
/// where both agree.
const KEYS: [&str; 2] = ["family", "design"];

/// Puts changes into a table: tables field by field, tables in an array by their [`KEYS`], anything
/// else as a whole.
pub(super) fn merge(base: &mut Table, changes: Table) {
    for (field, change) in changes {
        match (base.get_mut(&field), change) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(new)) if keyed(old) && keyed(&new) => {
                for element in new {
                    merge_element(old, element);
                }
            }
            (_, change) => {
                base.insert(field, change);
            }
        }
    }
}

fn keyed(values: &[Value]) -> bool {
    !values.is_empty() && values.iter().all(|value| value.get(KEYS[0]).is_some())
}

fn merge_element(base: &mut Vec<Value>, element: Value) {
    let same = |old: &&mut Value| KEYS.iter().all(|key| old.get(key) == element.get(key));
    let same = base.iter_mut().find(same);
    match (same, element) {
        (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
        (_, element) => base.push(element),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_reach_the_fields_they_name() {
        let parse = |text: &str| text.parse::<Table>().unwrap();
        let mut table = parse(
            "name = 'a'\nnorms = [['batch', 1.0], ['none', 1.0]]\n[bounds]\nside = [4, 8]\n\
             depth = [3, 4]\n[[families]]\nfamily = 'plain'\nweight = 1.0\nwidth = [1, 2]\n",
        );
        merge(
            &mut table,
            parse(
                "name = 'b'\nnorms = [['none', 1.0]]\n[bounds]\ndepth = [5, 6]\n[[families]]\n\
                 family = 'plain'\nwidth = [3, 4]\n[[families]]\nfamily = 'dense'\n",
            ),
        );
        let merged = parse(
            "name = 'b'\nnorms = [['none', 1.0]]\n[bounds]\nside = [4, 8]\ndepth = [5, 6]\n\
             [[families]]\nfamily = 'plain'\nweight = 1.0\nwidth = [3, 4]\n\
             [[families]]\nfamily = 'dense'\n",
        );
        assert_eq!(table, merged);
    }

    #[test]
    fn designs_of_one_family_are_told_apart() {
        let parse = |text: &str| text.parse::<Table>().unwrap();
        let rule = |design: &str, width: u8| {
            format!("[[families]]\nfamily = 'plain'\ndesign = '{design}'\nwidth = {width}\n")
        };
        let mut table = parse(&(rule("a", 1) + &rule("b", 2)));
        merge(&mut table, parse(&rule("b", 3)));
        assert_eq!(table, parse(&(rule("a", 1) + &rule("b", 3))));
    }
}
