//! Boxes: XSalsa20 and Poly1305 under a key that two ends share, as NaCl's `crypto_box` and
//! `crypto_secretbox` have them. The tag is before the text.

use std::fmt;

use poly1305::{Poly1305, universal_hash::KeyInit};
use salsa20::{
    Salsa20,
    cipher::{KeyIvInit, StreamCipher, consts::U10},
    hsalsa,
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{CurvePublicKey, CurveSecretKey};

/// The length of a tag.
pub(super) const TAG: usize = 16;

/// A key that both ends of a box have.
pub(super) struct Shared(Zeroizing<[u8; 32]>);

/// The same for all boxes whose nonces begin alike.
pub(super) struct Stream(Zeroizing<[u8; 32]>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared(..)")
    }
}

impl Shared {
    /// What a secret key and the other end's public one have in common; none if that one is no point to
    /// rely on.
    pub(super) fn new(secret: &CurveSecretKey, public: &CurvePublicKey) -> Option<Self> {
        let point = Zeroizing::new(secret.agree(public)?);
        Some(Self(derive(&point, &[0; 16])))
    }

    /// A key that never leaves this end.
    pub(super) fn own(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// For nonces that begin with this.
    pub(super) fn stream(&self, prefix: &[u8; 16]) -> Stream {
        Stream(derive(&self.0, prefix))
    }

    /// Appends a box: under a nonce of a prefix and random bytes.
    pub(super) fn seal(&self, prefix: &[u8; 8], nonce: &[u8; 16], text: &[u8]) -> Vec<u8> {
        let (stream, rest) = self.split(prefix, nonce);
        stream.seal_vec(&rest, text)
    }

    /// What is in such a box; none if it is not from the other end, as it was.
    pub(super) fn open(
        &self,
        prefix: &[u8; 8],
        nonce: &[u8; 16],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (stream, rest) = self.split(prefix, nonce);
        stream.open_vec(&rest, sealed)
    }

    fn split(&self, prefix: &[u8; 8], nonce: &[u8; 16]) -> (Stream, [u8; 8]) {
        let (mut first, mut rest) = ([0; 16], [0; 8]);
        first[..8].copy_from_slice(prefix);
        first[8..].copy_from_slice(&nonce[..8]);
        rest.copy_from_slice(&nonce[8..]);
        (self.stream(&first), rest)
    }
}

/// HSalsa20, of 20 rounds.
fn derive(key: &[u8; 32], input: &[u8; 16]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(hsalsa::<U10>(&(*key).into(), &(*input).into()).into())
}

impl Stream {
    /// Encrypts in place; the tag is returned.
    pub(super) fn seal(&self, nonce: &[u8; 8], text: &mut [u8]) -> [u8; TAG] {
        let (mut cipher, mac) = self.begin(nonce);
        cipher.apply_keystream(text);
        mac.compute_unpadded(text).into()
    }

    /// Decrypts in place what has this tag. False, and nothing is changed, if it has not.
    pub(super) fn open(&self, nonce: &[u8; 8], tag: &[u8; TAG], text: &mut [u8]) -> bool {
        let (mut cipher, mac) = self.begin(nonce);
        let genuine = mac.compute_unpadded(text)[..].ct_eq(&tag[..]).into();
        if genuine {
            cipher.apply_keystream(text);
        }
        genuine
    }

    /// The first half of the first block is the key of the authenticator.
    fn begin(&self, nonce: &[u8; 8]) -> (Salsa20, Poly1305) {
        let mut cipher = Salsa20::new(&(*self.0).into(), &(*nonce).into());
        let mut key = Zeroizing::new([0; 32]);
        cipher.apply_keystream(&mut key[..]);
        (cipher, Poly1305::new(&(*key).into()))
    }

    pub(super) fn seal_vec(&self, nonce: &[u8; 8], text: &[u8]) -> Vec<u8> {
        let mut sealed = [&[0; TAG], text].concat();
        let tag = self.seal(nonce, &mut sealed[TAG..]);
        sealed[..TAG].copy_from_slice(&tag);
        sealed
    }

    pub(super) fn open_vec(&self, nonce: &[u8; 8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (tag, text) = sealed.split_first_chunk()?;
        let mut text = Zeroizing::new(text.to_vec());
        self.open(nonce, tag, &mut text).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let digit = |at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("two digits");
        std::array::from_fn(digit)
    }

    /// The example of "Cryptography in NaCl" (D. J. Bernstein, 2009), sections 4 to 10.
    #[test]
    fn a_box_is_that_of_nacl() {
        let alice: [u8; 32] =
            hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let bob: [u8; 32] = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let shared = Shared::new(&alice.into(), &bob.into()).expect("a point");
        let first: [u8; 32] =
            hex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
        assert_eq!(*shared.0, first);
        let nonce: [u8; 24] = hex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37");
        let prefix = nonce.first_chunk().expect("8 of them");
        let rest: [u8; 16] = nonce[8..].try_into().expect("16 of them");
        let text: [u8; 131] = hex(concat!(
            "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffc",
            "e5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb31",
            "0e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde",
            "048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f93776384864",
            "5e0705",
        ));
        let sealed: [u8; 147] = hex(concat!(
            "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce",
            "48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c972",
            "71d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae",
            "90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b3",
            "7973f622a43d14a6599b1f654cb45a74e355a5",
        ));
        assert_eq!(shared.seal(prefix, &rest, &text), sealed);
        let opened = shared.open(prefix, &rest, &sealed).expect("it is genuine");
        assert_eq!(opened[..], text);
        for at in 0..sealed.len() {
            let mut other = sealed;
            other[at] ^= 1;
            assert!(shared.open(prefix, &rest, &other).is_none(), "byte {at}");
        }
        assert!(shared.open(prefix, &rest, &sealed[..15]).is_none());
    }

    #[test]
    fn points_that_are_known_to_all_are_not_relied_on() {
        let secret = CurveSecretKey::from([7; 32]);
        let mut one = [0; 32];
        assert!(Shared::new(&secret, &one.into()).is_none());
        one[0] = 1;
        assert!(Shared::new(&secret, &one.into()).is_none());
    }
}
