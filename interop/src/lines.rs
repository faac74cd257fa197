//! Files to be sent line by line.

use std::{
    fs::File,
    io::{BufWriter, Read, Write},
    path::Path,
};

/// Writes a file of about `bytes` bytes, in lines of up to 255 bytes, some of them empty; returns
/// how many lines there are. They hold every byte but the newline.
pub fn write(path: &Path, bytes: usize) -> usize {
    let mut random = fastrand::Rng::with_seed(bytes as u64);
    let pool: Vec<u8> = (0..1 << 16)
        .map(|_| match random.u8(..) {
            b'\n' => b' ',
            byte => byte,
        })
        .collect();
    let mut file = BufWriter::new(File::create(path).unwrap());
    let (mut lines, mut written) = (0, 0);
    while written < bytes {
        let at = random.usize(..pool.len() - 256);
        let line = &pool[at..at + random.usize(..256)];
        file.write_all(line).unwrap();
        file.write_all(b"\n").unwrap();
        lines += 1;
        written += line.len() + 1;
    }
    file.flush().unwrap();
    lines
}

/// Compares two files, byte for byte.
#[track_caller]
pub fn assert_same(sent: &Path, received: &Path) {
    const BLOCK: usize = 1 << 20;
    let open = |path: &Path| File::open(path).unwrap();
    let (mut sent, mut received) = (open(sent), open(received));
    let (a, b) = (sent.metadata().unwrap().len(), received.metadata().unwrap().len());
    assert_eq!(a, b, "the files differ in length");
    let (mut ours, mut theirs) = (vec![0; BLOCK], vec![0; BLOCK]);
    for at in (0..a).step_by(BLOCK) {
        let block = BLOCK.min((a - at) as usize);
        sent.read_exact(&mut ours[..block]).unwrap();
        received.read_exact(&mut theirs[..block]).unwrap();
        assert!(ours[..block] == theirs[..block], "the files differ within {block} bytes at {at}");
    }
}
