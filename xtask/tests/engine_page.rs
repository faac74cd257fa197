//! `docs/engine.md` names code and tests, and they are there.

use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/engine.md";
/// What the page gives paths below of.
const FOLDERS: &[&str] = &["crates/serverlink-io/src/sys", "crates/serverlink-io/tests", ""];
/// The lists that make tests of cases.
const LISTS: &[&str] = &[
    "crates/serverlink-io/tests/conformance/main.rs",
    "crates/serverlink-io/tests/conformance/seed.rs",
];
/// What the seed is, where it lives, why it is stronger, and what shows it.
const COLUMNS: usize = 4;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is a folder of the checkout")
}

/// The rows of all tables in `page`, without their heads, as cells.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = page.lines().collect();
    let is_rule = |line: &str| line.starts_with("|---");
    let mut rows = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let is_head = lines.get(number + 1).is_some_and(|next| is_rule(next));
        if line.starts_with('|') && !is_rule(line) && !is_head {
            rows.push(cells(line));
        }
    }
    rows
}

fn cells(row: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut start = 1;
    for (at, _) in row.match_indices('|').skip(1) {
        if !row[..at].ends_with('\\') {
            cells.push(row[start..at].trim());
            start = at + 1;
        }
    }
    cells
}

/// What `cell` names: files, and what is to be found in them. A name without a file is in the file
/// before it.
fn references(cell: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut file = None;
    let mut found = Vec::new();
    for span in cell.split('`').skip(1).step_by(2) {
        let name = match span.split_once(": ") {
            Some((path, name)) => {
                file = Some(path);
                name
            }
            None => span,
        };
        found.push((file.ok_or_else(|| format!("`{span}`: in which file?"))?, name));
    }
    if found.is_empty() { Err(format!("\"{cell}\" names nothing")) } else { Ok(found) }
}

fn source(path: &str) -> Result<(PathBuf, String), String> {
    FOLDERS
        .iter()
        .map(|folder| root().join(folder).join(path))
        .find_map(|path| fs::read_to_string(&path).ok().map(|text| (path, text)))
        .ok_or_else(|| format!("there is no {path}"))
}

/// Where `name` stands in `text` as a word.
fn words<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(name).map(|(at, _)| at).filter(move |&at| {
        !text[..at].ends_with(part) && !text[at + name.len()..].starts_with(part)
    })
}

/// Whether `text` is where that is: a function, a type, a constant, a field or a variant, not just a
/// word of that name.
fn is_defined(text: &str, name: &str) -> bool {
    const KEYWORDS: &[&str] =
        &["fn ", "struct ", "enum ", "trait ", "const ", "static ", "type ", "mod "];
    words(text, name).any(|at| {
        let (before, after) = (&text[..at], text[at + name.len()..].trim_start());
        let line = before.rsplit('\n').next().unwrap_or_default().trim_start();
        let is_member = line.is_empty() || line.starts_with("pub") && line.ends_with(' ');
        KEYWORDS.iter().any(|keyword| before.ends_with(keyword))
            || is_member && after.starts_with([',', '(', '{', ':'])
    })
}

/// Whether the function of that name is a test, or a case of a suite.
fn is_test(path: &Path, text: &str, name: &str) -> bool {
    let Some(at) = words(text, name).find(|&at| text[..at].ends_with("fn ")) else { return false };
    // Its attributes stand between it and the end of whatever comes before.
    let attributes = text[..at].rsplit("}\n").next().unwrap_or_default();
    attributes.contains("#[test]")
        || path.parent().is_some_and(|folder| folder.ends_with("conformance"))
            && LISTS.iter().any(|list| {
                let text = fs::read_to_string(root().join(list)).unwrap_or_default();
                words(&text, name).next().is_some()
            })
}

fn check(row: &[&str]) -> Result<(), String> {
    let [seed, here, stronger, shown] = row else {
        return Err(format!("{} cells, not {COLUMNS}", row.len()));
    };
    if seed.is_empty() || stronger.is_empty() {
        return Err("an empty cell".to_owned());
    }
    for (path, name) in references(here)? {
        let (path, text) = source(path)?;
        if !is_defined(&text, name) {
            return Err(format!("no {name} in {}", path.display()));
        }
    }
    for (path, name) in references(shown)? {
        let (path, text) = source(path)?;
        if !is_test(&path, &text, name) {
            return Err(format!("no test {name} in {}", path.display()));
        }
    }
    Ok(())
}

#[test]
fn every_row_names_code_and_tests_that_exist() {
    let page = fs::read_to_string(root().join(PAGE)).expect("the page is there");
    let rows = rows(&page);
    assert!(rows.len() > 80, "{} rows of {PAGE}", rows.len());
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| check(row).err().map(|why| format!("{why}, in: {}", row[0])))
        .collect();
    assert!(wrong.is_empty(), "{PAGE}:\n{}", wrong.join("\n"));
}

#[test]
fn a_row_that_has_rotted_is_noticed() {
    let here = "`iocp/kernel.rs: SHUTDOWN_KEY`";
    let shown = "`conformance/drive.rs: stop_during_work`, `stop_wakes_a_blocked_run`";
    let complains = |row: &str, of: &str| {
        let complaint = check(&cells(row)).expect_err(row);
        assert!(complaint.contains(of), "{complaint}");
    };
    assert_eq!(check(&cells(&format!("| a \\| b | {here} | c | {shown} |"))), Ok(()));
    complains(&format!("| a | {here} | {shown} |"), "3 cells");
    complains(&format!("| a | {here} |  | {shown} |"), "empty");
    complains(&format!("| a | here | b | {shown} |"), "names nothing");
    complains(&format!("| a | `SHUTDOWN_KEY` | b | {shown} |"), "which file");
    complains(&format!("| a | `iocp/kernel.rs: SHUTDOWN` | b | {shown} |"), "no SHUTDOWN in");
    // It is used there.
    complains(&format!("| a | `iocp/mod.rs: SHUTDOWN_KEY` | b | {shown} |"), "no SHUTDOWN_KEY in");
    complains(
        &format!("| a | `iocp/harbour.rs: SHUTDOWN_KEY` | b | {shown} |"),
        "there is no iocp/",
    );
    // A function that is no test, and a test of another file.
    complains(&format!("| a | {here} | b | `conformance/drive.rs: repost` |"), "no test repost");
    complains(&format!("| a | {here} | b | `conformance/send.rs: stop_during_work` |"), "no test");
}
