//! Bytes written as text: escapes and routing ids.

/// Longest routing id of ZMTP.
const MAX_ROUTING_ID: usize = 255;
/// Longest pattern that sockets subscribe to.
const MAX_PATTERN: usize = 255;

/// Text in which `\t`, `\n`, `\r`, `\0`, `\\` and `\xNN` stand for bytes.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b't') => b'\t',
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [rest.next(), rest.next()];
                hex_byte(digits[0], digits[1]).ok_or("two hexadecimal digits must follow \\x")?
            }
            _ => return Err("a backslash stands for \\t, \\n, \\r, \\0, \\\\ or \\xNN".into()),
        });
    }
    if bytes.is_empty() { Err("it must not be empty".into()) } else { Ok(bytes) }
}

/// A pattern of topics.
pub(crate) fn pattern(text: &str) -> Result<String, String> {
    match text.len() {
        0..=MAX_PATTERN => Ok(text.to_owned()),
        length => Err(format!("it has {length} bytes, and {MAX_PATTERN} is the most")),
    }
}

/// A routing id: text, or `0x` and hexadecimal digits.
pub(crate) fn routing_id(text: &str) -> Result<Vec<u8>, String> {
    let id = match text.strip_prefix("0x") {
        Some(digits) => {
            let pairs = digits.as_bytes().chunks(2);
            pairs
                .map(|pair| hex_byte(pair.first().copied(), pair.get(1).copied()))
                .collect::<Option<Vec<u8>>>()
                .ok_or("after 0x an even number of hexadecimal digits must follow")?
        }
        None => text.as_bytes().to_vec(),
    };
    match id.first() {
        None => Err("it must not be empty".into()),
        Some(0) => Err("it must not begin with a zero byte; those ids are the peers' own".into()),
        Some(_) if id.len() > MAX_ROUTING_ID => {
            Err(format!("it has {} bytes, and 255 is the most", id.len()))
        }
        Some(_) => Ok(id),
    }
}

fn hex_byte(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_bytes() {
        assert_eq!(unescape(r"a\t\n\r\0\\\xFfé").unwrap(), b"a\t\n\r\0\\\xff\xc3\xa9");
        for text in ["", "\\", r"\q", r"\x1", r"\xg0"] {
            assert!(unescape(text).is_err(), "{text}");
        }
    }

    #[test]
    fn routing_ids_have_one_to_255_bytes_and_no_leading_zero() {
        assert_eq!(routing_id("worker-1").unwrap(), b"worker-1");
        assert_eq!(routing_id("0xff00").unwrap(), [0xff, 0]);
        assert_eq!(routing_id(&"x".repeat(255)).unwrap().len(), 255);
        for text in ["", "0x", "0x00ff", "0xabc", "0xzz", &"x".repeat(256)] {
            assert!(routing_id(text).is_err(), "{text}");
        }
    }
}
