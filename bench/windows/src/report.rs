//! How it came out.

use crate::row::Row;

/// Prints medians, and how the first of each row compares with the others, with the middle half of
/// the rounds.
pub(crate) fn print(rows: &[Row], figures: &[Vec<Vec<f64>>]) {
    for (row, figures) in rows.iter().zip(figures) {
        println!("{} ({})", row.name, row.unit);
        let first = &figures[0];
        for (contender, theirs) in row.contenders.iter().zip(figures) {
            let median = quantile(theirs.clone(), 0.5);
            print!("  {:8}{median:>14.1}", contender.name);
            if std::ptr::eq(first, theirs) {
                println!();
                continue;
            }
            let better = |(first, theirs): (&f64, &f64)| {
                if row.more_is_better { first / theirs } else { theirs / first }
            };
            let ratios: Vec<f64> = first.iter().zip(theirs).map(better).collect();
            let [low, middle, high] = [0.25, 0.5, 0.75].map(|part| quantile(ratios.clone(), part));
            let best = row.contenders[0].name;
            println!("   {best} is {middle:.2} times as good ({low:.2} to {high:.2})");
        }
    }
}

/// The value that this part of them does not exceed.
fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = (last as f64 * part).round() as usize;
    values.get(at).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_few_values_are_among_them() {
        let values = vec![3.0, 1.0, 2.0, 5.0, 4.0];
        assert_eq!([0.25, 0.5, 0.75].map(|part| quantile(values.clone(), part)), [2.0, 3.0, 4.0]);
        assert_eq!(quantile(vec![7.0], 0.75), 7.0);
    }
}
