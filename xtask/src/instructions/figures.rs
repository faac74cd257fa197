//! The tracked figures: their file, and what they say about a count.

use std::fmt;
use std::fmt::Write as _;

/// By how much counts may differ that the same compiler's program gave. Those of one program, counted
/// on an idle and on a busy machine, differ by 0.1 %, and on different machines by 2 %.
const TOLERANCE: u32 = 3;
/// The same for another compiler's, and for a way on which threads wait for each other: how often they
/// have to be woken differs from machine to machine.
const LOOSE_TOLERANCE: u32 = 15;
/// That way.
const WAITING: &str = "req-rep/tcp/64B";
/// The least for ways with many connections: how much of what was sent is there when it is looked for
/// makes a difference, and counts of one program were 3 % apart.
const MANY_TOLERANCE: u32 = 8;
/// Those ways.
const MANY: [&str; 2] = ["pub-sub-8/tcp/64B", "router-8-dealers/tcp/64B"];

const HEADER: &str = "\
# How many instructions a message takes, or a round trip. Checked by `cargo xtask instructions`, and
# written by `cargo xtask instructions --update`; see CONTRIBUTING.md.
";
const TABLE: &str = "[instructions]";

/// What is in the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// The version of the compiler whose program was counted.
    pub(super) compiler: String,
    /// By name, in the order of measuring.
    pub(super) counts: Vec<(String, u64)>,
}

/// How a count compares to its figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Within,
    More,
    Fewer,
    /// There is no figure.
    Untracked,
}

impl Figures {
    /// Reads what [`Display`](fmt::Display) wrote: as much of TOML as that uses.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut figures = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || line == TABLE {
                continue;
            }
            let entry = line.split_once('=').and_then(|(name, value)| {
                let (name, value) = (name.trim(), value.trim());
                if name == "compiler" {
                    figures.compiler = unquoted(value)?.to_owned();
                } else {
                    figures.counts.push((unquoted(name)?.to_owned(), value.parse().ok()?));
                }
                Some(())
            });
            entry.ok_or_else(|| format!("line {number} makes no sense: {line}"))?;
        }
        Ok(figures)
    }

    pub(super) fn of(&self, name: &str) -> Option<u64> {
        self.counts.iter().find_map(|(known, count)| (known == name).then_some(*count))
    }

    /// By how many per cent a count of `compiler`'s program may differ.
    pub(super) fn tolerance(&self, compiler: &str) -> u32 {
        if self.compiler == compiler { TOLERANCE } else { LOOSE_TOLERANCE }
    }

    /// Judges a count for `name`.
    pub(super) fn judge(&self, name: &str, count: u64, tolerance: u32) -> Verdict {
        let tolerance = match name {
            WAITING => LOOSE_TOLERANCE,
            _ if MANY.contains(&name) => tolerance.max(MANY_TOLERANCE),
            _ => tolerance,
        };
        let Some(tracked) = self.of(name) else { return Verdict::Untracked };
        if 100 * count > (100 + u64::from(tolerance)) * tracked {
            Verdict::More
        } else if 100 * count < (100 - u64::from(tolerance)) * tracked {
            Verdict::Fewer
        } else {
            Verdict::Within
        }
    }
}

fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = format!("{HEADER}compiler = \"{}\"\n\n{TABLE}\n", self.compiler);
        for (name, count) in &self.counts {
            let _ = writeln!(lines, "\"{name}\" = {count}");
        }
        formatter.write_str(&lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let counts = vec![("push-pull/tcp/64B".to_owned(), 1000), ("req-rep".to_owned(), 7)];
        Figures { compiler: "rustc 1.95.0 (abc 2026-01-01)".to_owned(), counts }
    }

    #[test]
    fn what_is_written_can_be_read() {
        assert_eq!(Figures::parse(&figures().to_string()), Ok(figures()));
    }

    #[test]
    fn nonsense_is_told_by_its_line() {
        for nonsense in ["nonsense", "x = 1", "\"x\" = one", "compiler = rustc", "[other]"] {
            let told = Figures::parse(&format!("# fine\n{nonsense}\n")).unwrap_err();
            assert!(told.contains("line 2") && told.contains(nonsense), "{told}");
        }
    }

    #[test]
    fn counts_may_differ_by_the_tolerance() {
        let judge = |count| figures().judge("push-pull/tcp/64B", count, 3);
        assert_eq!([970, 1000, 1030].map(judge), [Verdict::Within; 3]);
        assert_eq!(judge(969), Verdict::Fewer);
        assert_eq!(judge(1031), Verdict::More);
        assert_eq!(figures().judge("pub-sub", 5, 3), Verdict::Untracked);
        let mut waiting = figures();
        waiting.counts.push((WAITING.to_owned(), 100));
        assert_eq!([85, 115].map(|count| waiting.judge(WAITING, count, 3)), [Verdict::Within; 2]);
        assert_eq!(waiting.judge(WAITING, 116, 3), Verdict::More);
        waiting.counts.push((MANY[0].to_owned(), 100));
        assert_eq!([92, 108].map(|count| waiting.judge(MANY[0], count, 3)), [Verdict::Within; 2]);
        assert_eq!(waiting.judge(MANY[0], 109, 3), Verdict::More);
        assert_eq!(waiting.judge(MANY[0], 109, 15), Verdict::Within);
    }

    #[test]
    fn another_compiler_is_judged_loosely() {
        assert_eq!(figures().tolerance(&figures().compiler), TOLERANCE);
        assert_eq!(figures().tolerance("rustc 1.96.0"), LOOSE_TOLERANCE);
    }
}
