//! HELLO, WELCOME, INITIATE and READY (RFC 26, "Connection Opening").

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::cipher::Shared;
use super::traffic::{self, Ciphers};
use super::{
    CurveClient, CurveKeyPair, CurvePublicKey, CurveSecretKey, Parts, random, sealed_otherwise,
};
use crate::{Error, PeerMisbehaved};

const VERSION: [u8; 2] = [1, 0];
/// So that HELLO is longer than WELCOME: nobody gets more out of a server than was put in. The prose
/// of RFC 26 says 70 bytes, its grammar 72.
const PADDING: [u8; 72] = [0; 72];
/// What HELLO encrypts, to show that its sender has the key.
const PROOF: [u8; 64] = [0; 64];

const HELLO_NONCE: &[u8; 16] = b"CurveZMQHELLO---";
const WELCOME_NONCE: &[u8; 8] = b"WELCOME-";
const COOKIE_NONCE: &[u8; 8] = b"COOKIE--";
const INITIATE_NONCE: &[u8; 16] = b"CurveZMQINITIATE";
const VOUCH_NONCE: &[u8; 8] = b"VOUCH---";
const READY_NONCE: &[u8; 16] = b"CurveZMQREADY---";

/// A client that has sent HELLO.
#[derive(Debug)]
pub(crate) struct Client {
    /// For this connection only.
    short: CurveKeyPair,
}

/// A client that has sent INITIATE.
#[derive(Debug)]
pub(crate) struct Introduced {
    shared: Shared,
}

/// A server that has answered HELLO, and otherwise knows nothing any more: the client brings it back.
#[derive(Debug)]
pub(crate) struct Greeted {
    cookie: Shared,
    last_nonce: u64,
}

/// A server that knows the client.
#[derive(Debug)]
pub(crate) struct Initiated {
    shared: Shared,
    last_nonce: u64,
}

/// What a client was told by WELCOME: see [`Client::hear`].
pub(crate) struct Welcomed {
    /// The data of INITIATE.
    pub(crate) initiate: Vec<u8>,
    pub(crate) then: Introduced,
}

impl Client {
    /// Begins; with it, the data of HELLO.
    pub(crate) fn begin(config: &CurveClient) -> Result<(Self, Vec<u8>), Error> {
        let short = CurveKeyPair::generate()?;
        // A key of the server's that is none is a fault of ours, but shows here first.
        let shared =
            Shared::new(&short.secret, &config.server).ok_or_else(|| sealed_otherwise("HELLO"))?;
        let nonce = 1u64.to_be_bytes();
        let proof = shared.stream(HELLO_NONCE).seal_vec(&nonce, &PROOF);
        let hello = [&VERSION[..], &PADDING, short.public.as_bytes(), &nonce, &proof].concat();
        Ok((Self { short }, hello))
    }

    /// Hears WELCOME, and introduces itself with these properties.
    pub(crate) fn hear(
        &self,
        data: &[u8],
        config: &CurveClient,
        properties: &[u8],
    ) -> Result<Welcomed, Error> {
        let mut parts = Parts::of("WELCOME", data);
        let (nonce, sealed) = (parts.take()?, parts.take::<144>()?);
        parts.end()?;
        let shared = Shared::new(&self.short.secret, &config.server);
        let opened = shared.and_then(|shared| shared.open(WELCOME_NONCE, nonce, sealed));
        let opened = opened.ok_or_else(|| sealed_otherwise("WELCOME"))?;
        let mut parts = Parts::of("WELCOME", &opened);
        let server = CurvePublicKey::from(*parts.take()?);
        let cookie = parts.take::<96>()?;

        let vouch_nonce = random()?;
        let vouched = [&self.short.public.as_bytes()[..], config.server.as_bytes()].concat();
        let vouch = Shared::new(&config.keys.secret, &server)
            .ok_or_else(|| sealed_otherwise("WELCOME"))?
            .seal(VOUCH_NONCE, &vouch_nonce, &vouched);
        let shared =
            Shared::new(&self.short.secret, &server).ok_or_else(|| sealed_otherwise("WELCOME"))?;
        let public = config.keys.public.as_bytes();
        let introduction = [&public[..], &vouch_nonce, &vouch, properties].concat();
        let nonce = 2u64.to_be_bytes();
        let sealed = shared.stream(INITIATE_NONCE).seal_vec(&nonce, &introduction);
        let initiate = [&cookie[..], &nonce, &sealed].concat();
        Ok(Welcomed { initiate, then: Introduced { shared } })
    }
}

impl Introduced {
    /// Hears READY: the server's properties, and how to go on.
    pub(crate) fn hear(&self, data: &[u8]) -> Result<(Zeroizing<Vec<u8>>, Box<Ciphers>), Error> {
        let mut parts = Parts::of("READY", data);
        let (nonce, _tag) = (parts.take()?, Parts::of("READY", parts.rest).take::<16>()?);
        let properties = self.shared.stream(READY_NONCE).open_vec(nonce, parts.rest);
        let properties = properties.ok_or_else(|| sealed_otherwise("READY"))?;
        let ciphers = Ciphers::new(
            (self.shared.stream(traffic::FROM_CLIENT), 3),
            (self.shared.stream(traffic::FROM_SERVER), u64::from_be_bytes(*nonce)),
        );
        Ok((properties, Box::new(ciphers)))
    }
}

impl Greeted {
    /// Hears HELLO; with it, the data of WELCOME.
    pub(crate) fn hear(data: &[u8], own: &CurveSecretKey) -> Result<(Self, Vec<u8>), Error> {
        let mut parts = Parts::of("HELLO", data);
        let version = parts.take::<2>()?;
        if *version != VERSION {
            let defect = "its version of CURVE is not 1.0";
            return Err(PeerMisbehaved::MalformedCommand { command: "HELLO", defect }.into());
        }
        // "The padding … SHALL be all zeros", but nobody looks.
        parts.take::<72>()?;
        let client = CurvePublicKey::from(*parts.take()?);
        let (nonce, sealed) = (parts.take()?, parts.take::<80>()?);
        parts.end()?;
        let shared = Shared::new(own, &client).ok_or_else(|| sealed_otherwise("HELLO"))?;
        let proof = shared.stream(HELLO_NONCE).open_vec(nonce, sealed);
        if !proof.is_some_and(|proof| proof[..].ct_eq(&PROOF).into()) {
            return Err(sealed_otherwise("HELLO"));
        }

        let short = CurveKeyPair::generate()?;
        let key = Shared::own(random()?);
        let cookie_nonce = random()?;
        let kept = Zeroizing::new([&client.as_bytes()[..], short.secret.as_bytes()].concat());
        let cookie = key.seal(COOKIE_NONCE, &cookie_nonce, &kept);
        let welcome_nonce = random()?;
        let told = [&short.public.as_bytes()[..], &cookie_nonce, &cookie].concat();
        let welcome = shared.seal(WELCOME_NONCE, &welcome_nonce, &told);
        let greeted = Self { cookie: key, last_nonce: u64::from_be_bytes(*nonce) };
        Ok((greeted, [&welcome_nonce[..], &welcome].concat()))
    }

    /// Hears INITIATE: how to go on, the key by which the client is known, which is proven, and its
    /// properties.
    pub(crate) fn initiate(
        &self,
        data: &[u8],
        own: &CurveSecretKey,
    ) -> Result<(Initiated, CurvePublicKey, Zeroizing<Vec<u8>>), Error> {
        let wrong = || sealed_otherwise("INITIATE");
        let mut parts = Parts::of("INITIATE", data);
        let (cookie_nonce, cookie) = (parts.take()?, parts.take::<80>()?);
        let nonce = parts.take()?;
        // A box with a key, a nonce and a vouch in it at least.
        Parts::of("INITIATE", parts.rest).take::<{ 16 + 32 + 16 + 80 }>()?;
        let kept = self.cookie.open(COOKIE_NONCE, cookie_nonce, cookie);
        let kept = kept.ok_or_else(wrong)?;
        let mut kept = Parts::of("INITIATE", &kept);
        let client_short = CurvePublicKey::from(*kept.take()?);
        let short = CurveSecretKey::from(*kept.take()?);
        let last_nonce = u64::from_be_bytes(*nonce);
        if last_nonce <= self.last_nonce {
            return Err(PeerMisbehaved::Sequence.into());
        }
        let shared = Shared::new(&short, &client_short).ok_or_else(wrong)?;
        let introduction = shared.stream(INITIATE_NONCE).open_vec(nonce, parts.rest);
        let introduction = introduction.ok_or_else(wrong)?;

        let mut parts = Parts::of("INITIATE", &introduction);
        let client = CurvePublicKey::from(*parts.take()?);
        let (vouch_nonce, vouch) = (parts.take()?, parts.take::<80>()?);
        let vouched = Shared::new(&short, &client)
            .and_then(|shared| shared.open(VOUCH_NONCE, vouch_nonce, vouch))
            .ok_or_else(wrong)?;
        // That the client means this connection, and this server.
        let meant = [&client_short.as_bytes()[..], own.public_key().as_bytes()].concat();
        if !bool::from(vouched[..].ct_eq(&meant)) {
            return Err(PeerMisbehaved::KeyExchange.into());
        }
        let properties = Zeroizing::new(parts.rest.to_vec());
        Ok((Initiated { shared, last_nonce }, client, properties))
    }
}

impl Initiated {
    /// The data of READY with these properties, and how to go on.
    pub(crate) fn ready(&self, properties: &[u8]) -> (Vec<u8>, Box<Ciphers>) {
        let nonce = 1u64.to_be_bytes();
        let sealed = self.shared.stream(READY_NONCE).seal_vec(&nonce, properties);
        let ciphers = Ciphers::new(
            (self.shared.stream(traffic::FROM_SERVER), 2),
            (self.shared.stream(traffic::FROM_CLIENT), self.last_nonce),
        );
        ([&nonce[..], &sealed].concat(), Box::new(ciphers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> CurveKeyPair {
        CurveKeyPair::generate().expect("random bytes")
    }

    /// INITIATE of a client that vouches for these keys, and by this one.
    fn introduction(
        client: &Client,
        welcome: &[u8],
        server: &CurvePublicKey,
        shown: &CurvePublicKey,
        vouches: &CurveSecretKey,
        vouched: [&CurvePublicKey; 2],
    ) -> Vec<u8> {
        let (nonce, sealed) = welcome.split_first_chunk().expect("a nonce");
        let shared = Shared::new(&client.short.secret, server).expect("a point");
        let opened = shared.open(WELCOME_NONCE, nonce, sealed).expect("it is for us");
        let (short, cookie) = opened.split_first_chunk::<32>().expect("a key");
        let short = CurvePublicKey::from(*short);
        let shared = Shared::new(vouches, &short).expect("a point");
        let vouch =
            shared.seal(VOUCH_NONCE, &[7; 16], &vouched.map(|key| *key.as_bytes()).concat());
        let shared = Shared::new(&client.short.secret, &short).expect("a point");
        let introduction = [&shown.as_bytes()[..], &[7; 16], &vouch].concat();
        let sealed = shared.stream(INITIATE_NONCE).seal_vec(&2u64.to_be_bytes(), &introduction);
        [cookie, &2u64.to_be_bytes(), &sealed].concat()
    }

    #[test]
    fn nobody_is_taken_for_another() {
        let [own, known, other] = [keys(), keys(), keys()];
        let config = CurveClient { keys: known.clone(), server: own.public };
        let hears = |shown, vouches, third: Option<[CurvePublicKey; 2]>| {
            let (client, hello) = Client::begin(&config).expect("random bytes");
            let (greeted, welcome) = Greeted::hear(&hello, &own.secret).expect("a good HELLO");
            let vouched = third.unwrap_or([client.short.public, own.public]);
            let vouched = [&vouched[0], &vouched[1]];
            let initiate = introduction(&client, &welcome, &own.public, shown, vouches, vouched);
            greeted.initiate(&initiate, &own.secret).map(|(_, key, _)| key)
        };
        assert_eq!(hears(&known.public, &known.secret, None), Ok(known.public));
        let wrong = Err(sealed_otherwise("INITIATE"));
        assert_eq!(hears(&known.public, &other.secret, None), wrong);
        // Vouched for on another connection, or to another server.
        let exchanged: Result<CurvePublicKey, Error> = Err(PeerMisbehaved::KeyExchange.into());
        let third = Some([other.public, own.public]);
        assert_eq!(hears(&known.public, &known.secret, third), exchanged);
        let (client, hello) = Client::begin(&config).expect("random bytes");
        let (greeted, welcome) = Greeted::hear(&hello, &own.secret).expect("a good HELLO");
        let vouched = [&client.short.public, &other.public];
        let initiate =
            introduction(&client, &welcome, &own.public, &known.public, &known.secret, vouched);
        let heard = greeted.initiate(&initiate, &own.secret).map(|(_, key, _)| key);
        assert_eq!(heard, exchanged);
    }

    #[test]
    fn a_cookie_is_of_one_connection() {
        let [own, known] = [keys(), keys()];
        let config = CurveClient { keys: known, server: own.public };
        let (client, hello) = Client::begin(&config).expect("random bytes");
        let (greeted, welcome) = Greeted::hear(&hello, &own.secret).expect("a good HELLO");
        let (another, _) = Greeted::hear(&hello, &own.secret).expect("a good HELLO");
        let initiate = client.hear(&welcome, &config, b"").expect("a good WELCOME").initiate;
        let refused = another.initiate(&initiate, &own.secret).map(drop);
        assert_eq!(refused, Err(sealed_otherwise("INITIATE")));
        assert!(greeted.initiate(&initiate, &own.secret).is_ok());
    }
}
