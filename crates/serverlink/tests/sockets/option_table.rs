//! Every row of the table of options: set, told, out of range, of the wrong size, on the wrong
//! socket, too late.

use serverlink::{
    Error, OptionAccess, OptionForm, OptionInfo, OptionTruth, Socket, SocketType, socket_options,
};

use crate::harness::{context, socket};

/// Values that an option takes, and some that it does not.
pub(crate) fn samples(form: OptionForm) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let int = |value: i64| i32::try_from(value).unwrap().to_ne_bytes().to_vec();
    match form {
        OptionForm::Flag(truth) => {
            let more = vec![int(2), int(i32::MAX.into())];
            let below = vec![int(-1), int(i32::MIN.into())];
            let (mut taken, mut refused) =
                (vec![int(1), int(0)], vec![vec![], vec![1], vec![0; 8]]);
            match truth {
                OptionTruth::NotZero => taken.extend(more.into_iter().chain(below)),
                OptionTruth::Positive => {
                    taken.extend(more);
                    refused.extend(below);
                }
                _ => refused.extend(more.into_iter().chain(below)),
            }
            (taken, refused)
        }
        OptionForm::Number { wide, least, most, none, .. } => {
            let bytes = |value: i64| {
                if wide { value.to_ne_bytes().to_vec() } else { int(value) }
            };
            let size = if wide { 8 } else { 4 };
            let longest = if wide { i64::MAX } else { i32::MAX.into() };
            let mut taken: Vec<_> = [least, least + 1, most.unwrap_or(longest)].map(bytes).into();
            taken.extend(none.iter().copied().map(bytes));
            let mut refused =
                vec![vec![], vec![0; size - 1], vec![0; size + 1], vec![0; 12 - size]];
            let below = (1..).map(|less| least - less).find(|number| !none.contains(number));
            refused.extend(below.map(bytes));
            refused.extend(most.filter(|most| *most < longest).map(|most| bytes(most + 1)));
            (taken, refused)
        }
        OptionForm::Bytes { least, most } => {
            let mut taken = vec![vec![0; least], vec![7; least + 1]];
            let mut refused = vec![];
            if most < usize::MAX {
                taken.push(vec![1; most]);
                refused.push(vec![1; most + 1]);
            }
            if least > 0 {
                refused.push(vec![1; least - 1]);
            }
            (taken, refused)
        }
        OptionForm::Name { most } => {
            (vec![vec![1], vec![1, 0], vec![255; most]], vec![vec![], vec![0], vec![1; most + 1]])
        }
        OptionForm::Text { most } => {
            let mut refused = vec![vec![0xFF], b"a\0b".to_vec()];
            if most < usize::MAX {
                refused.push(vec![b'a'; most + 1]);
            }
            (vec![b"a".to_vec(), b"ab\0".to_vec(), vec![]], refused)
        }
        OptionForm::Mask => (
            [0, 1, u64::MAX].map(|mask| mask.to_ne_bytes().to_vec()).into(),
            vec![vec![], vec![0; 4], vec![0; 9]],
        ),
        OptionForm::Property => (
            vec![b"X-name:value".to_vec(), b"X-other:\xFF".to_vec()],
            [&b""[..], b"X-name", b"X-name:", b":value", b"name:value", b"X-\xC3\xA4:value"]
                .map(<[u8]>::to_vec)
                .into(),
        ),
        OptionForm::Ids => (vec![vec![1, 0, 0, 0], vec![]], vec![vec![1], vec![1; 3], vec![1; 8]]),
        OptionForm::Networks => (
            [&b"192.168.1.0/24"[..], b"::1\0", b"10.0.0.1", b""].map(<[u8]>::to_vec).into(),
            [&b"10.0.0.1/33"[..], b"localhost", b"10.0.0.1/", b"\xFF", b"1.2.3.4\0\0"]
                .map(<[u8]>::to_vec)
                .into(),
        ),
        OptionForm::Key => {
            let text = "0".repeat(40);
            let taken = [&[7; 32], "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID".as_bytes()];
            let zero = [text.as_bytes(), b"\0"].concat();
            let refused =
                [&[][..], &[7; 31], &[7; 33], &text.as_bytes()[1..], &[b'0'; 41], &[b'~'; 40]];
            (
                taken.into_iter().map(<[u8]>::to_vec).chain([zero]).collect(),
                refused.map(<[u8]>::to_vec).into(),
            )
        }
        // It is only told.
        OptionForm::Descriptor => (vec![int(0)], vec![]),
        other => panic!("no samples of {other:?}"),
    }
}

/// What an option tells once it is set to a value, where that is not the value itself.
pub(crate) fn told(form: OptionForm, value: &[u8]) -> Vec<u8> {
    match form {
        OptionForm::Flag(_) => i32::from(value != [0; 4]).to_ne_bytes().to_vec(),
        OptionForm::Number { none: [first, others @ ..], wide: false, .. }
            if others.iter().any(|other| value == (*other as i32).to_ne_bytes()) =>
        {
            (*first as i32).to_ne_bytes().to_vec()
        }
        OptionForm::Key if value.len() > 32 => {
            let text = std::str::from_utf8(value.strip_suffix(b"\0").unwrap_or(value)).unwrap();
            serverlink::z85_decode(text).unwrap()
        }
        OptionForm::Text { .. } if !value.ends_with(b"\0") => [value, b"\0"].concat(),
        _ => value.to_vec(),
    }
}

fn supported() -> impl Iterator<Item = OptionInfo> {
    socket_options().into_iter().filter(|info| info.unsupported.is_none())
}

/// A socket that has the option.
fn owner(info: &OptionInfo) -> Socket {
    let types = SocketType::ALL.into_iter().find(|socket_type| info.is_of(*socket_type));
    context().socket(types.expect(info.constant)).unwrap()
}

/// Whether it is more than a value to be kept: what it does is shown elsewhere.
fn is_an_order(info: &OptionInfo) -> bool {
    ["ZMQ_SUBSCRIBE", "ZMQ_UNSUBSCRIBE"].contains(&info.constant)
}

#[test]
fn no_number_and_no_name_is_given_twice() {
    let all = socket_options();
    for (at, one) in all.iter().enumerate() {
        for other in &all[at + 1..] {
            assert_ne!(one.id, other.id, "{} and {}", one.constant, other.constant);
            assert_ne!(one.constant, other.constant);
            assert_ne!(one.name, other.name);
        }
    }
}

#[test]
fn options_tell_their_default_and_what_they_are_set_to() {
    for info in supported().filter(|info| info.systems.here) {
        let socket = owner(&info);
        let (taken, _) = samples(info.form);
        if info.access != OptionAccess::Set {
            let first = socket.option(info.id).expect(info.constant);
            if let Some(default) = info.default_value() {
                assert_eq!(first, default, "{}", info.constant);
            }
        }
        if info.access != OptionAccess::Get {
            for value in taken {
                socket.set_option(info.id, &value).expect(info.constant);
                if info.access == OptionAccess::SetAndGet {
                    let now = socket.option(info.id).unwrap();
                    assert_eq!(now, told(info.form, &value), "{} = {value:?}", info.constant);
                }
            }
        }
    }
}

#[test]
fn values_out_of_range_or_of_the_wrong_size_are_refused_and_change_nothing() {
    for info in supported().filter(|info| info.access != OptionAccess::Get && info.systems.here) {
        let socket = owner(&info);
        for value in samples(info.form).1 {
            match socket.set_option(info.id, &value) {
                Err(error @ Error::InvalidOption { option, .. }) => {
                    assert_eq!(option, info.name, "{value:?}");
                    assert_eq!(error.errno_name(), "EINVAL");
                }
                other => panic!("{} = {value:?}: {other:?}", info.constant),
            }
            if info.access == OptionAccess::SetAndGet {
                let now = Some(socket.option(info.id).unwrap());
                assert_eq!(now, info.default_value(), "{} = {value:?}", info.constant);
            }
        }
    }
}

#[test]
fn what_cannot_be_set_or_told_says_so() {
    for info in supported() {
        let socket = owner(&info);
        let (result, hint) = match info.access {
            OptionAccess::Get => (socket.set_option(info.id, &[0; 4]), "told"),
            OptionAccess::Set => (socket.option(info.id).map(drop), "only be set"),
            _ => continue,
        };
        let error = result.expect_err(info.constant);
        assert!(matches!(error, Error::InvalidOption { .. }), "{}: {error}", info.constant);
        assert!(error.to_string().contains(hint), "{}: {error}", info.constant);
    }
}

#[test]
fn sockets_of_other_types_do_not_have_an_option() {
    for info in supported() {
        let value = samples(info.form).0.remove(0);
        for socket_type in SocketType::ALL.into_iter().filter(|other| !info.is_of(*other)) {
            let socket = context().socket(socket_type).unwrap();
            for result in [socket.set_option(info.id, &value), socket.option(info.id).map(drop)] {
                let error = result.expect_err(info.constant);
                assert!(matches!(error, Error::InvalidOption { .. }), "{}: {error}", info.constant);
                assert!(error.to_string().contains(socket_type.as_str()), "{error}");
            }
        }
    }
}

#[test]
fn nothing_is_set_or_told_by_number_once_the_context_is_terminated() {
    for info in supported().filter(|info| info.systems.here) {
        let context = context();
        let types = SocketType::ALL.into_iter().find(|socket_type| info.is_of(*socket_type));
        let socket = socket(&context, types.unwrap());
        let _ = context.terminate_timeout(std::time::Duration::ZERO);
        if info.access != OptionAccess::Get {
            let result = socket.set_option(info.id, &samples(info.form).0[0]);
            assert!(matches!(result, Err(Error::Terminated)), "{}: {result:?}", info.constant);
        }
        if info.access != OptionAccess::Set {
            let result = socket.option(info.id);
            assert!(matches!(result, Err(Error::Terminated)), "{}: {result:?}", info.constant);
        }
    }
}

#[test]
fn what_is_not_supported_says_so_by_name() {
    let all = socket_options();
    let missing = all.iter().filter(|info| info.unsupported.is_some() || !info.systems.here);
    let mut count = 0;
    for info in missing {
        count += 1;
        let socket = owner(info);
        for result in [socket.set_option(info.id, &[1, 0, 0, 0]), socket.option(info.id).map(drop)]
        {
            match result {
                Err(error @ Error::UnsupportedOption { option, .. }) => {
                    assert_eq!(option, info.constant);
                    assert!(error.to_string().contains(info.constant), "{error}");
                    assert_eq!(error.errno_name(), "EINVAL");
                }
                // Of what this system does not have, the default may be set and told.
                other if info.unsupported.is_none() => drop(other),
                other => panic!("{}: {other:?}", info.constant),
            }
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn there_are_no_other_options() {
    let socket = context().socket(SocketType::Pair).unwrap();
    let known: Vec<_> = socket_options().iter().map(|info| info.id).collect();
    for id in (-1..200).chain([i32::MIN, i32::MAX]).filter(|id| !known.contains(id)) {
        for result in [socket.set_option(id, &[0; 4]), socket.option(id).map(drop)] {
            match result {
                Err(error @ Error::UnknownOption { id: told }) => {
                    assert_eq!(told, id);
                    assert_eq!(error.errno_name(), "EINVAL");
                }
                other => panic!("{id}: {other:?}"),
            }
        }
    }
}

#[test]
fn orders_by_number_are_carried_out() {
    let context = context();
    let socket = context.socket(SocketType::Sub).unwrap();
    for info in supported().filter(is_an_order) {
        socket.set_option(info.id, b"a: taken back").unwrap();
    }
    socket.set_option(6, b"b: not").unwrap();
    let publisher = crate::harness::socket(&context, SocketType::XPub);
    socket.connect(&publisher.bind("inproc://orders").unwrap()).unwrap();
    assert_eq!(publisher.recv().unwrap()[0], "\u{1}b: not");
}
