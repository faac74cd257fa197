//! All of it, however it is cut.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serverlink_zmtp::SocketType;

use super::of;
use crate::support::{
    Seen,
    web::{End, Role, parse_web},
};

fn messages() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    let len = prop_oneof![
        4 => 0..4_usize,
        4 => 120..130_usize,
        1 => 250..260_usize,
        1 => 65_530..65_540_usize,
        1 => 100_000..150_000_usize,
    ];
    // Length, content, and whether it has MORE, or is a command.
    proptest::collection::vec((len, any::<u8>(), 0..3_u8), 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    })]

    #[test]
    fn both_ends_talk_whatever_the_split(
        flows in [messages(), messages()],
        cuts in proptest::collection::vec(prop_oneof![1..20_usize, 1..100_000_usize, 50_000..100_000_usize], 1..20),
    ) {
        let mut ends = [
            End::new(Role::Client, of(SocketType::Dealer)),
            End::new(Role::Server, of(SocketType::Router)),
        ];
        let mut cuts = cuts.into_iter().cycle();
        let mut expected = [Vec::new(), Vec::new()];
        let mut talk = |ends: &mut [End; 2]| {
            let mut quiet = 0;
            while quiet < 2 {
                for from in 0..2 {
                    let said = ends[from].says();
                    quiet = if said.is_empty() { quiet + 1 } else { 0 };
                    let mut rest = &said[..];
                    while !rest.is_empty() {
                        let (now, later) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                        ends[1 - from].hear(now);
                        rest = later;
                    }
                }
            }
        };
        talk(&mut ends);
        for from in 0..2 {
            expected[from].push(Seen::Ready(
                [SocketType::Router, SocketType::Dealer][from],
                Bytes::new(),
            ));
        }
        for (from, flow) in flows.iter().enumerate() {
            for (len, byte, kind) in flow {
                let body = vec![*byte; *len];
                let end = &mut ends[from];
                let mut out = BytesMut::new();
                let framer = end.framer.as_mut().expect("a framer");
                if *kind == 2 {
                    let command = [b"\x09SUBSCRIBE", &body[..]].concat();
                    framer.frame(false, true, &command, &mut out);
                    expected[1 - from].push(Seen::Subscribe(body.into()));
                } else {
                    framer.frame(*kind == 1, false, &body, &mut out);
                    expected[1 - from].push(Seen::frame(body, *kind == 1));
                }
                prop_assert!(parse_web(&out)[0].1 == (from == 0));
                end.push(&out);
            }
        }
        talk(&mut ends);
        for at in 0..2 {
            prop_assert_eq!(&ends[at].error, &None);
            prop_assert!(ends[at].seen == expected[at]);
            prop_assert!(!ends[at].web.peek().has_buffered_input());
        }
    }
}
