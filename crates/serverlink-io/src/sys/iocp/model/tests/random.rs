//! Random schedules.

use proptest::{collection::vec, prelude::*};

use super::world::World;

/// How long a schedule is at most.
const LONG: usize = if cfg!(miri) { 150 } else { 600 };

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: 4 * usual.cases, failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_schedule_keeps_every_promise(tape in vec(any::<u8>(), 0..LONG)) {
        let world = World::new(tape);
        let failures = world.live();
        prop_assert!(failures.is_empty(), "{failures:#?}\n{}", world.story());
    }
}
