//! That `docs/patterns.md` tells the truth.

use std::{fs, path::Path};

#[test]
fn every_test_that_the_table_of_rules_names_exists() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(here.join("../../docs/patterns.md")).unwrap();
    let mut named = 0;
    for name in table.split('`').skip(1).step_by(2) {
        let Some((module, test)) = name.split_once("::") else { continue };
        named += 1;
        let source = here.join(format!("tests/sockets/{module}.rs"));
        let text = fs::read_to_string(&source).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(text.contains(&format!("#[test]\nfn {test}() ")), "there is no {name}");
    }
    assert!(named > 80, "only {named} are named");
}
