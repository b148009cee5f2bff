//! Options by their names.

/// The option of a name; underscores are hyphens, as in mergekit's files. Otherwise what there is.
pub(super) fn chosen<T: Copy>(options: &[(&str, T)], name: &str) -> Result<T, String> {
    let spelled = name.replace('_', "-");
    let found = options.iter().find(|(own, _)| *own == spelled);
    found.map(|&(_, option)| option).ok_or_else(|| {
        let names: Vec<&str> = options.iter().map(|&(own, _)| own).collect();
        format!("'{name}' is none of {}", names.join(", "))
    })
}
