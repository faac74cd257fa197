//! The demonstration.

use std::{env, io::Read as _};

use crate::support::{Running, run};

#[test]
fn the_demonstration_measures_every_part_and_loses_nothing() {
    let ended = run(&["demo", "--seconds=1", "--clients=2", "--json", "--quiet"], b"").well();
    assert_eq!(ended.stderr, "");
    let report = &ended.json()[0];
    assert!(report["seconds"].as_f64().unwrap() >= 1.0);
    let backends = run(&["backends"], b"").well();
    let named = env::var("SERVERLINK_BACKEND").ok();
    assert_eq!(report["backend"].as_str(), named.as_deref().or(backends.text().lines().next()));
    let parts = report["parts"].as_array().unwrap();
    let names: Vec<_> = parts.iter().map(|part| &part["pattern"]).collect();
    assert_eq!(names, ["ROUTER/DEALER", "PUB/SUB", "PUSH/PULL"]);
    for part in parts {
        assert!(part["messages"].as_u64().unwrap() > 0, "{part}");
        assert_eq!(part["bytes"].as_u64(), part["messages"].as_u64().map(|n| n * 64), "{part}");
        assert_eq!((&part["lost"], &part["wrong"]), (&0.into(), &0.into()), "{part}");
        let latency = &part["latency_us"];
        let quantile = |name: &str| latency[name].as_f64().unwrap();
        assert!(0.0 < quantile("p50") && quantile("p50") <= quantile("p99"), "{part}");
        assert!(quantile("p99") <= quantile("p99_9") && quantile("p99_9") <= quantile("max"));
    }
}

#[test]
fn the_table_names_the_backend_chosen() {
    let backends = run(&["backends"], b"").well();
    for backend in backends.text().lines() {
        let ended = run(&["demo", "--seconds=1", "--size=1000", "--backend", backend], b"").well();
        assert!(ended.text().contains(&format!("I/O backend {backend}, messages of 1000 bytes")));
        assert!(ended.text().lines().any(|line| line.starts_with("PUSH/PULL")));
        assert!(ended.stderr.contains("after 1 s: requests "), "{}", ended.stderr);
    }
}

#[test]
fn nobody_need_read_its_progress() {
    let mut demo = Running::start(&["demo", "--seconds=2"]);
    drop(demo.stderr());
    let mut results = String::new();
    demo.stdout().read_to_string(&mut results).unwrap();
    assert_eq!(demo.end_code(), Some(0), "{results}");
    assert!(results.contains("PUSH/PULL"), "{results}");
}
