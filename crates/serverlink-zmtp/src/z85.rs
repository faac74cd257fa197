//! Z85: bytes as printable text (RFC 32), five characters for four bytes.

/// The digits, by their values.
const DIGITS: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// Why something cannot be written or read as Z85.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Z85Error {
    /// The number of bytes is no multiple of 4, or that of characters none of 5.
    #[error("Z85 has 5 characters for every 4 bytes; {0} is no such number")]
    Length(usize),
    /// No digit of Z85, or five that are too large a number, at or from this place on.
    #[error("this is no Z85, from character {0} on")]
    Digit(usize),
}

/// Writes bytes as Z85 (RFC 32).
///
/// ```
/// let text = serverlink_zmtp::z85_encode(&[0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b])?;
/// assert_eq!(text, "HelloWorld");
/// # Ok::<(), serverlink_zmtp::Z85Error>(())
/// ```
///
/// # Errors
///
/// [`Z85Error::Length`] unless there are a multiple of 4 bytes.
pub fn z85_encode(bytes: &[u8]) -> Result<String, Z85Error> {
    let (groups, []) = bytes.as_chunks() else { return Err(Z85Error::Length(bytes.len())) };
    let digit = |number: u32, place| char::from(DIGITS[(number / 85u32.pow(place) % 85) as usize]);
    let text = groups.iter().flat_map(|group| {
        let number = u32::from_be_bytes(*group);
        (0..5).rev().map(move |place| digit(number, place))
    });
    Ok(text.collect())
}

/// Reads Z85 (RFC 32).
///
/// ```
/// let bytes = serverlink_zmtp::z85_decode("HelloWorld")?;
/// assert_eq!(bytes, [0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b]);
/// # Ok::<(), serverlink_zmtp::Z85Error>(())
/// ```
///
/// # Errors
///
/// [`Z85Error`] if it is none.
pub fn z85_decode(text: &str) -> Result<Vec<u8>, Z85Error> {
    let (groups, []) = text.as_bytes().as_chunks::<5>() else {
        return Err(Z85Error::Length(text.len()));
    };
    let mut bytes = Vec::with_capacity(groups.len() * 4);
    for (index, group) in groups.iter().enumerate() {
        let mut number = 0;
        for (place, digit) in group.iter().enumerate() {
            let value = DIGITS.iter().position(|other| other == digit);
            let value = value.ok_or(Z85Error::Digit(5 * index + place))?;
            number = number * 85 + value as u64;
        }
        let number = u32::try_from(number).map_err(|_| Z85Error::Digit(5 * index))?;
        bytes.extend(number.to_be_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_z85_is_refused() {
        assert_eq!(z85_encode(&[0; 3]), Err(Z85Error::Length(3)));
        for text in ["1", "1234", "123456"] {
            assert_eq!(z85_decode(text), Err(Z85Error::Length(text.len())));
        }
        assert_eq!(z85_decode("00000000 0"), Err(Z85Error::Digit(8)));
        assert_eq!(z85_decode("00000###\u{e9}"), Err(Z85Error::Digit(8)));
        // 2^32 - 1, and one more.
        assert_eq!(z85_decode("%nSc0"), Ok(vec![0xff; 4]));
        assert_eq!(z85_decode("00000%nSc1"), Err(Z85Error::Digit(5)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(groups in prop::collection::vec(any::<[u8; 4]>(), 0..20)) {
            let bytes = groups.concat();
            let text = z85_encode(&bytes).expect("a multiple of 4");
            prop_assert_eq!(z85_decode(&text), Ok(bytes));
        }
    }
}
