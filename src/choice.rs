//! Options by their names.

/// The option of a name; underscores are hyphens, as in mergekit's files. Otherwise what there is.
pub(crate) fn chosen<T: Copy>(options: &[(&str, T)], name: &str) -> Result<T, String> {
    let spelled = name.replace('_', "-");
    let found = options.iter().find(|(own, _)| *own == spelled);
    found.map(|&(_, option)| option).ok_or_else(|| {
        let names: Vec<&str> = options.iter().map(|&(own, _)| own).collect();
        format!("'{name}' is none of {}", names.join(", "))
    })
}

/// The name of an option, as it stands in the list.
pub(crate) fn name_of<T: PartialEq>(options: &[(&'static str, T)], option: &T) -> &'static str {
    options.iter().find(|(_, own)| own == option).map_or("", |&(name, _)| name)
}
