//! The rules of the source: layers, length of files, where `unsafe` lives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The layer of each module; a module imports from itself and from lower layers.
const LAYERS: &[(&str, usize)] = &[
    ("error", 0),
    ("element", 0),
    ("shape", 0),
    ("random", 0),
    ("kernel", 1),
    ("tensor", 2),
    ("scalar", 2),
    ("tape", 3),
    ("program", 4),
    ("op", 5),
    ("param", 5),
    ("transform", 6),
    ("nn", 7),
    ("activation", 7),
    ("loss", 7),
    ("optim", 7),
    ("data", 8),
    ("metric", 8),
    ("train", 8),
    ("io", 8),
    ("check", 8),
];

/// Lines of a file, tests included.
const LONGEST: usize = 600;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// All files of a folder of the crate: path within the crate, with `/`, and text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    files(&root.join(folder), &mut found);
    found.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("text");
        let within = path.strip_prefix(root).expect("within the crate");
        (within.to_string_lossy().replace('\\', "/"), text)
    };
    found.into_iter().map(read).collect()
}

/// The code of a file: no tests, which stand at its end, no comments, no strings.
fn code(text: &str) -> String {
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let mut code = String::new();
    for line in text.lines() {
        let mut inside = false;
        let mut previous = ' ';
        let mut kept = String::new();
        for c in line.chars() {
            if c == '"' && previous != '\\' && previous != '\'' {
                inside = !inside;
            } else if !inside {
                if kept.ends_with('/') && c == '/' {
                    kept.pop();
                    break;
                }
                kept.push(c);
            }
            previous = c;
        }
        code.push_str(&kept);
        code.push('\n');
    }
    code
}

/// The beginnings of the paths of modules that exist in tests only: `#[cfg(test)] mod name;`.
fn test_modules(sources: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources {
        let folder = match path.rsplit_once('/') {
            Some((folder, "mod.rs" | "lib.rs")) => folder.to_string(),
            _ => path.trim_end_matches(".rs").to_string(),
        };
        for (at, attribute) in text.match_indices("#[cfg(test)]\nmod ") {
            let declared = text[at + attribute.len()..]
                .lines()
                .next()
                .unwrap_or_default();
            if let Some(name) = declared.strip_suffix(';') {
                found.extend([format!("{folder}/{name}.rs"), format!("{folder}/{name}/")]);
            }
        }
    }
    found
}

/// The first names of all paths that begin with `crate::`: `crate::shape::Shape`,
/// `crate::{shape::Shape, Dtype}`.
fn imports(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut name = String::new();
            let mut first = true;
            for c in group.chars() {
                match c {
                    '}' if depth == 0 => break,
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        names.push(std::mem::take(&mut name));
                        first = true;
                    }
                    c if depth == 0 && first && (c.is_alphanumeric() || c == '_') => name.push(c),
                    ':' | '<' if depth == 0 => first = false,
                    _ => {}
                }
            }
            names.push(name);
        } else {
            let name = |c: &char| c.is_alphanumeric() || *c == '_';
            names.push(rest.chars().take_while(name).collect());
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The modules that the names that the crate exports at its top come from.
fn exports() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("src/lib.rs")).expect("the root");
    let mut exports = BTreeMap::new();
    for statement in code(&text).split(';') {
        let Some((_, path)) = statement.split_once("pub use ") else {
            continue;
        };
        let Some((module, names)) = path.trim().split_once("::") else {
            continue;
        };
        // The prelude exports what is exported already.
        if module == "crate" {
            continue;
        }
        for name in names.split(|c: char| !c.is_alphanumeric() && c != '_') {
            exports.insert(name.to_string(), module.to_string());
        }
    }
    exports
}

#[test]
fn modules_import_from_lower_layers_only() {
    let layers: BTreeMap<&str, usize> = LAYERS.iter().copied().collect();
    let exports = exports();
    let mut faults = Vec::new();
    let mut seen = 0;
    let sources = sources("src");
    let test_modules = test_modules(&sources);
    for (path, text) in sources {
        if test_modules.iter().any(|start| path.starts_with(start)) {
            continue;
        }
        let within = path.trim_start_matches("src/");
        let module = within
            .split('/')
            .next()
            .unwrap_or(within)
            .trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let Some(&own) = layers.get(module) else {
            faults.push(format!("{path}: module {module} has no layer"));
            continue;
        };
        for name in imports(&code(&text)) {
            let from = exports.get(&name).map_or(name.as_str(), String::as_str);
            seen += 1;
            match layers.get(from) {
                _ if from == module => {}
                Some(&layer) if layer < own => {}
                Some(&layer) => faults.push(format!(
                    "{path}: layer {own} imports {name} of {from}, which is of layer {layer}"
                )),
                // A macro that the crate exports, or the root itself.
                None => {
                    let is_macro = text.contains(&format!("crate::{name}!"));
                    if !is_macro {
                        faults.push(format!("{path}: {name} is of no known module"));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 50, "only {seen} imports were found");
}

#[test]
fn files_are_not_too_long() {
    for folder in ["src", "tests", "examples", "benches"] {
        if !Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).exists() {
            continue;
        }
        for (path, text) in sources(folder) {
            let lines = text.lines().count();
            assert!(
                lines <= LONGEST,
                "{path} has {lines} lines, more than {LONGEST}"
            );
        }
    }
}

#[test]
fn unsafe_code_lives_in_few_places() {
    let word = concat!("uns", "afe");
    let mut found = 0;
    for (path, text) in sources("src") {
        let code = code(&text);
        let uses = code
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|w| *w == word)
            .count();
        let files = [
            "src/tensor/storage.rs",
            "src/tape/arena.rs",
            "src/scalar/arena.rs",
            // Signatures that a trait of theirs demands, no blocks.
            "src/scalar/nalgebra.rs",
        ];
        let allowed = path.starts_with("src/kernel/") || files.contains(&&*path);
        assert!(uses == 0 || allowed, "{path} has {uses} uses of {word}");
        found += uses;
    }
    assert!(found > 0, "none was found where there is some");
}

#[test]
fn imports_are_read_from_any_form() {
    let read = |text: &str| imports(&code(text));
    assert_eq!(read("use crate::shape::{Axes, Shape};"), ["shape"]);
    assert_eq!(
        read("use crate::{\n    kernel::{a, b},\n    tape,\n    Dtype,\n};"),
        ["kernel", "tape", "Dtype"]
    );
    assert_eq!(read("fn f(x: crate::op::Row) {} // crate::nn"), ["op"]);
    assert_eq!(
        read("#[cfg(test)]\nmod tests { use crate::nn::Linear; }"),
        [""; 0]
    );
    assert_eq!(read("#[cfg(test)]\nmod tests;\nuse crate::op;"), ["op"]);
    assert_eq!(read(r#"let s = "crate::nn::x";"#), [""; 0]);
}
