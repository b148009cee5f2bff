//! Imports run one way: between the modules of `lib.rs` from below to above, and in no circle of files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Segments of a module or of what is imported.
type ItemPath = Vec<String>;

/// What a file of `src` declares and names, tests left out.
#[derive(Default)]
struct Source {
    /// Child modules in the order of the file.
    children: Vec<String>,
    /// What `pub use` gives another place, and where it is from.
    exports: BTreeMap<String, ItemPath>,
    /// Whatever else is named.
    named: Vec<ItemPath>,
}

/// Words and signs of a file without comments and texts; `::` is one.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = match next {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            'r' if rest[1..].trim_start_matches('#').starts_with('"') => {
                let fence = rest[1..].chars().take_while(|&it| it == '#').count();
                let end = format!("\"{}", "#".repeat(fence));
                let start = 2 + fence;
                rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
            }
            '"' => {
                let mut escaped = false;
                let end = rest[1..].char_indices().find(|&(_, letter)| {
                    let ends = letter == '"' && !escaped;
                    escaped = letter == '\\' && !escaped;
                    ends
                });
                end.map_or(rest.len(), |(at, _)| at + 2)
            }
            '\'' => {
                let letters: Vec<char> = rest.chars().take(3).collect();
                match letters[..] {
                    // `'\''` and `'\\'` end at the quote after the escaped letter.
                    [_, '\\', _] => rest[3..].find('\'').map_or(rest.len(), |at| at + 4),
                    [_, letter, '\''] => 2 + letter.len_utf8(),
                    _ => 1,
                }
            }
            letter if letter.is_alphanumeric() || letter == '_' => {
                let word = |it: char| !it.is_alphanumeric() && it != '_';
                let end = rest.find(word).unwrap_or(rest.len());
                tokens.push(rest[..end].to_owned());
                end
            }
            letter => {
                let length = if rest.starts_with("::") { 2 } else { letter.len_utf8() };
                if !letter.is_whitespace() {
                    tokens.push(rest[..length].to_owned());
                }
                length
            }
        };
        rest = &rest[skipped..];
    }
    tokens
}

/// The paths of a `use` tree from `tokens[at]` on, each with the name that it gets, and its end.
fn tree(tokens: &[String], mut at: usize, prefix: &[String]) -> (Vec<(String, ItemPath)>, usize) {
    let mut path = prefix.to_vec();
    loop {
        match tokens[at].as_str() {
            "::" => at += 1,
            "{" => {
                let mut all = Vec::new();
                at += 1;
                while tokens[at] != "}" {
                    let (inner, end) = tree(tokens, at, &path);
                    all.extend(inner);
                    at = end + usize::from(tokens[end] == ",");
                }
                return (all, at + 1);
            }
            "as" => return (vec![(tokens[at + 1].clone(), path)], at + 2),
            "," | ";" | "}" => {
                if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
                    path.pop();
                }
                return (vec![(path.last().cloned().unwrap_or_default(), path)], at);
            }
            word => {
                path.push(word.to_owned());
                at += 1;
            }
        }
    }
}

impl Source {
    fn of(text: &str) -> Self {
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let tokens = tokens(text);
        let mut source = Self::default();
        let mut at = 0;
        while at < tokens.len() {
            let before = at.checked_sub(1).map(|at| tokens[at].as_str());
            match tokens[at].as_str() {
                // Not what a type captures, `use<'a>`.
                "use" if tokens.get(at + 1).is_some_and(|next| next != "<") => {
                    let (paths, end) = tree(&tokens, at + 1, &[]);
                    match before {
                        Some("pub" | ")") => source.exports.extend(paths),
                        _ => source.named.extend(paths.into_iter().map(|(_, path)| path)),
                    }
                    at = end;
                }
                "mod" if tokens.get(at + 2).is_some_and(|next| next == ";") => {
                    source.children.push(tokens[at + 1].clone());
                    at += 3;
                }
                _ if before != Some("::")
                    && tokens.get(at + 1).is_some_and(|next| next == "::") =>
                {
                    let mut path = vec![tokens[at].clone()];
                    while tokens.get(at + 1).is_some_and(|next| next == "::") {
                        path.extend(tokens.get(at + 2).cloned());
                        at += 2;
                    }
                    source.named.push(path);
                    at += 1;
                }
                _ => at += 1,
            }
        }
        source
    }
}

/// Files of `src` by module path.
struct Crate {
    sources: BTreeMap<ItemPath, Source>,
}

impl Crate {
    fn read() -> Self {
        let mut sources = BTreeMap::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        walk(&root, &[], &mut sources);
        Self { sources }
    }

    /// The module whose file defines what `path` means in a module; `None` for what is foreign.
    fn definition(&self, module: &[String], path: &[String]) -> Option<ItemPath> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.to_vec(),
            "super" => module.split_last()?.1.to_vec(),
            child => self.child(module, child)?,
        };
        self.below(start, rest)
    }

    fn below(&self, module: ItemPath, path: &[String]) -> Option<ItemPath> {
        let Some((first, rest)) = path.split_first() else { return Some(module) };
        if first == "super" {
            return self.below(module.split_last()?.1.to_vec(), rest);
        }
        if let Some(child) = self.child(&module, first) {
            return self.below(child, rest);
        }
        match self.sources.get(&module)?.exports.get(first) {
            Some(origin) => self.definition(&module, &[origin, rest].concat()),
            None => Some(module),
        }
    }

    fn child(&self, module: &[String], name: &str) -> Option<ItemPath> {
        let child = [module, &[name.to_owned()]].concat();
        self.sources.contains_key(&child).then_some(child)
    }

    /// The modules whose files each file needs. What the file of a folder defines is open to the
    /// files below it, as in Rust itself, and not counted.
    fn imports(&self) -> BTreeMap<&ItemPath, BTreeSet<ItemPath>> {
        let sources = self.sources.iter();
        sources
            .map(|(module, source)| {
                let needed = source.named.iter().filter_map(|path| self.definition(module, path));
                (module, needed.filter(|needed| !module.starts_with(needed)).collect())
            })
            .collect()
    }
}

fn walk(folder: &Path, module: &[String], sources: &mut BTreeMap<ItemPath, Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let inner = match stem.as_str() {
            "tests" | "main" => continue,
            "mod" | "lib" => module.to_vec(),
            _ => [module, &[stem]].concat(),
        };
        if path.is_dir() {
            walk(&path, &inner, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.insert(inner, Source::of(&fs::read_to_string(path).unwrap()));
        }
    }
}

/// All that can be reached.
fn reached<'a>(
    imports: &'a BTreeMap<&ItemPath, BTreeSet<ItemPath>>,
    from: &'a ItemPath,
) -> BTreeSet<&'a ItemPath> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for needed in imports.get(module).into_iter().flatten() {
            if found.insert(needed) {
                open.push(needed);
            }
        }
    }
    found
}

#[test]
fn modules_import_only_from_those_above_them() {
    let all = Crate::read();
    let order = &all.sources[&Vec::new()].children;
    let place = |module: &ItemPath| {
        module.first().and_then(|name| order.iter().position(|other| other == name))
    };
    let mut wrong = Vec::new();
    for (module, needed) in all.imports() {
        for needed in needed {
            if !module.is_empty() && place(&needed) > place(module) {
                wrong.push(format!("{} needs {}", module.join("::"), needed.join("::")));
            }
        }
    }
    assert!(order.len() > 15 && wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let all = Crate::read();
    let imports = all.imports();
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 1000);
    let reach: BTreeMap<_, _> =
        imports.keys().map(|&module| (module, reached(&imports, module))).collect();
    let mut circles = Vec::new();
    for (module, needed) in &imports {
        let back =
            needed.iter().filter(|it| reach.get(it).is_some_and(|all| all.contains(*module)));
        circles.extend(back.map(|it| format!("{} needs {}", module.join("::"), it.join("::"))));
    }
    assert!(circles.is_empty(), "{circles:#?}");
}
