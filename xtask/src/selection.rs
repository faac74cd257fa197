//! Which suites to run.

/// Those of `all` that `only` names (every one where it names none) and `skip`
/// does not, in the order of `all`.
pub(crate) fn select<'a>(all: &[&'a str], only: &[String], skip: &[String]) -> Vec<&'a str> {
    let named = |list: &[String], name: &str| list.iter().any(|item| item == name);
    all.iter()
        .copied()
        .filter(|name| only.is_empty() || named(only, name))
        .filter(|name| !named(skip, name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&str] = &["fmt", "lint", "unit"];

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn all_run_by_default() {
        assert_eq!(select(ALL, &[], &[]), ALL);
    }

    #[test]
    fn only_keeps_the_usual_order() {
        assert_eq!(select(ALL, &names(&["unit", "fmt"]), &[]), ["fmt", "unit"]);
    }

    #[test]
    fn skip_wins_over_only() {
        let chosen = select(ALL, &names(&["unit", "fmt"]), &names(&["fmt", "lint"]));
        assert_eq!(chosen, ["unit"]);
    }
}
