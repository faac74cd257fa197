//! Bodies of messages that tell when they were damaged.

/// `len` bytes that look random and depend on `seed` alone.
#[must_use]
pub fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut body = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut body);
    body
}

/// The body of the message number `index` of a stream: its number, and a filling of another length
/// each time.
#[must_use]
pub fn numbered(index: u64) -> Vec<u8> {
    let mut body = index.to_be_bytes().to_vec();
    body.extend((0..index * 7 % 300).map(|i| (i ^ index) as u8));
    body
}

/// The number of a [`numbered`] message, of which nothing else may be wrong.
#[track_caller]
#[must_use]
pub fn number(body: &[u8]) -> u64 {
    let index = body.first_chunk().copied().map(u64::from_be_bytes);
    let index = index.unwrap_or_else(|| panic!("a message of only {} bytes", body.len()));
    assert!(body == numbered(index), "message {index} is damaged: {body:?}");
    index
}
