//! Tests of tokens of a provider, with real signatures.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA512,
};
use serde_json::{Value, json};

use super::*;
use crate::access::utc;

/// A private RSA key of 2048 bits that only these tests use (PKCS#1, DER).
const RSA_KEY: &str = include_str!("../../../tests/data/rsa-key.der.base64");

/// A provider with a key of each kind.
struct Provider {
    random: SystemRandom,
    curve: EcdsaKeyPair,
    edwards: Ed25519KeyPair,
    rsa: RsaKeyPair,
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

impl Provider {
    fn new() -> Self {
        let random = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let curve =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
                .unwrap();
        let document = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let edwards = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let rsa = RsaKeyPair::from_der(&STANDARD.decode(RSA_KEY.trim()).unwrap()).unwrap();
        Self {
            random,
            curve,
            edwards,
            rsa,
        }
    }

    fn jwks(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = self.curve.public_key().as_ref();
        let rsa: ring::signature::RsaPublicKeyComponents<Vec<u8>> = self.rsa.public().into();
        json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "kid": "curve", "use": "sig", "alg": "ES256",
              "x": text(&point[1..33]), "y": text(&point[33..]) },
            { "kty": "OKP", "crv": "Ed25519", "kid": "edwards", "x": text(self.edwards.public_key().as_ref()) },
            { "kty": "RSA", "kid": "rsa", "n": text(&rsa.n), "e": text(&rsa.e) },
            { "kty": "EC", "crv": "P-256", "kid": "for encryption", "use": "enc",
              "x": text(&point[1..33]), "y": text(&point[33..]) },
            { "kty": "oct", "kid": "shared", "k": text(b"a shared secret of 32 bytes.....") },
            { "kty": "new", "kid": "unknown kind" },
        ] })
    }

    /// A token with this header, signed as `scheme` names.
    fn sign(&self, header: &Value, claims: &Value, scheme: &str) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let bytes = message.as_bytes();
        let rsa = |padding: &'static dyn ring::signature::RsaEncoding| {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa
                .sign(padding, &self.random, bytes, &mut signature)
                .unwrap();
            signature
        };
        let signature = match scheme {
            "ES256" => self
                .curve
                .sign(&self.random, bytes)
                .unwrap()
                .as_ref()
                .to_vec(),
            "EdDSA" => self.edwards.sign(bytes).as_ref().to_vec(),
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "PS512" => rsa(&RSA_PSS_SHA512),
            // The public key as a shared one: the confusion of algorithms.
            "HS256" => {
                let key =
                    ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.curve.public_key().as_ref());
                ring::hmac::sign(&key, bytes).as_ref().to_vec()
            }
            _ => Vec::new(),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example.com", "aud": ["other", "capcut"], "sub": "alice",
        "exp": utc::now_s() + 300, "scope": "openid drafts:write",
    })
}

fn verifier(file: &tempfile::NamedTempFile, change: impl FnOnce(&mut JwtSection)) -> JwtVerifier {
    let mut section = JwtSection {
        issuer: "https://id.example.com".to_owned(),
        audience: "capcut".to_owned(),
        algorithms: vec![
            JwtAlgorithm::ES256,
            JwtAlgorithm::EdDSA,
            JwtAlgorithm::RS256,
            JwtAlgorithm::PS512,
        ],
        keys: file.path().display().to_string(),
        ..JwtSection::off()
    };
    change(&mut section);
    assert_eq!(section.faults(), []);
    JwtVerifier::new(&section)
        .expect("a verifier")
        .expect("it is on")
}

fn file_with(jwks: &Value) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(jwks.to_string().as_bytes())
        .expect("written");
    file
}

fn shown(identified: Result<GuestIdentity, JwtFault>) -> String {
    match identified {
        Ok(identity) => format!("{} {:?}", identity.tenant, identity.rights.read_only),
        Err(JwtFault::Wrong(what)) => what,
        Err(JwtFault::Expired) => "expired".to_owned(),
        Err(JwtFault::Unavailable(error)) => format!("unavailable: {error}"),
    }
}

#[tokio::test]
async fn tokens_with_each_kind_of_signature_are_accepted() {
    let provider = Provider::new();
    let file = file_with(&provider.jwks());
    let verifier = verifier(&file, |_| {});
    for (algorithm, kid) in [
        ("ES256", "curve"),
        ("EdDSA", "edwards"),
        ("RS256", "rsa"),
        ("PS512", "rsa"),
    ] {
        let header = json!({ "alg": algorithm, "kid": kid, "typ": "JWT" });
        let token = provider.sign(&header, &claims(), algorithm);
        assert!(JwtVerifier::is_form_of(&token));
        assert_eq!(
            shown(verifier.identify(&token).await),
            "alice false",
            "{algorithm}"
        );
        // One bit of each part.
        for part in 0..3 {
            let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
            let mut bytes = URL_SAFE_NO_PAD.decode(&parts[part]).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            parts[part] = URL_SAFE_NO_PAD.encode(bytes);
            let changed = verifier.identify(&parts.join(".")).await;
            assert!(
                matches!(changed, Err(JwtFault::Wrong(_))),
                "{algorithm} {part}: {changed:?}"
            );
        }
    }
}

#[tokio::test]
async fn algorithms_and_keys_cannot_be_confused() {
    let provider = Provider::new();
    let file = file_with(&provider.jwks());
    let verifier = verifier(&file, |_| {});
    for (algorithm, kid, scheme) in [
        ("none", "curve", ""),
        ("None", "curve", ""),
        ("HS256", "curve", "HS256"),
        ("HS256", "shared", "HS256"),
        ("ES384", "curve", "ES256"),
        ("RS384", "rsa", "RS256"),
        ("ES256", "edwards", "EdDSA"),
        ("EdDSA", "curve", "ES256"),
        ("RS256", "curve", "RS256"),
        ("ES256", "for encryption", "ES256"),
        ("ES256", "no such key", "ES256"),
        ("ES256", "curve", ""),
        ("ES256", "curve", "EdDSA"),
        ("PS512", "rsa", "RS256"),
    ] {
        let token = provider.sign(&json!({ "alg": algorithm, "kid": kid }), &claims(), scheme);
        let refused = verifier.identify(&token).await;
        assert!(
            matches!(refused, Err(JwtFault::Wrong(_))),
            "{algorithm} {kid}: {refused:?}"
        );
    }
    let header = json!({ "alg": "ES256", "kid": "curve", "crit": ["b64"], "b64": false });
    let token = provider.sign(&header, &claims(), "ES256");
    assert!(shown(verifier.identify(&token).await).contains("crit"));
    // A key in the header is not used.
    let header = json!({ "alg": "ES256", "kid": "mine", "jwk": provider.jwks()["keys"][0], "jku": "https://evil.example" });
    let token = provider.sign(&header, &claims(), "ES256");
    assert_eq!(
        shown(verifier.identify(&token).await),
        "the provider has no key for it"
    );
    // Without an id, the only key that fits is used.
    let token = provider.sign(&json!({ "alg": "EdDSA" }), &claims(), "EdDSA");
    assert_eq!(shown(verifier.identify(&token).await), "alice false");
}

#[tokio::test]
async fn claims_are_checked() {
    let provider = Provider::new();
    let file = file_with(&provider.jwks());
    let verifier = verifier(&file, |section| section.leeway_s = 10.0);
    let now = utc::now_s();
    for (claim, value, expected) in [
        ("exp", json!(now - 60), "expired"),
        ("exp", json!(now - 5), "alice false"),
        ("exp", json!("soon"), "it has no valid claim `exp`"),
        ("exp", json!(-1), "it has no valid claim `exp`"),
        ("exp", Value::Null, "it has no valid claim `exp`"),
        ("nbf", json!(now + 60), "it is not valid yet"),
        ("nbf", json!(now + 5), "alice false"),
        ("nbf", json!("x"), "it is malformed"),
        (
            "iss",
            json!("https://id.example.com/"),
            "its issuer is another one",
        ),
        ("iss", json!(7), "it has no valid claim `iss`"),
        ("iss", Value::Null, "it has no valid claim `iss`"),
        ("aud", json!("capcut"), "alice false"),
        (
            "aud",
            json!("capcut2"),
            "its audience is not this server's `audience` of `[auth.jwt]`",
        ),
        (
            "aud",
            json!([]),
            "its audience is not this server's `audience` of `[auth.jwt]`",
        ),
        ("aud", Value::Null, "it has no valid claim `aud`"),
        ("sub", json!(17), "17 false"),
        (
            "sub",
            json!(""),
            "it has no text in the claim `sub`, which names the tenant",
        ),
        ("sub", json!(["alice"]), "it is malformed"),
        (
            "sub",
            Value::Null,
            "it has no text in the claim `sub`, which names the tenant",
        ),
    ] {
        let mut claims = claims();
        claims[claim] = value.clone();
        let token = provider.sign(&json!({ "alg": "ES256", "kid": "curve" }), &claims, "ES256");
        assert_eq!(
            shown(verifier.identify(&token).await),
            expected,
            "{claim} {value}"
        );
    }
}

#[tokio::test]
async fn scopes_give_rights_and_claims_name_the_tenant() {
    let provider = Provider::new();
    let file = file_with(&provider.jwks());
    let rights = async |change: fn(&mut JwtSection), extra: Value| {
        let verifier = verifier(&file, change);
        let mut claims = claims();
        for (name, value) in extra.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        let token = provider.sign(&json!({ "alg": "ES256", "kid": "curve" }), &claims, "ES256");
        let identity = verifier.identify(&token).await.expect("accepted");
        (
            identity.tenant.to_string(),
            identity.rights.read_only,
            identity.rights.admin,
        )
    };
    let scoped: fn(&mut JwtSection) = |section| {
        section.write_scope = "drafts:write".to_owned();
        section.admin_scope = "drafts:admin".to_owned();
    };
    assert_eq!(
        rights(scoped, json!({})).await,
        ("alice".to_owned(), false, false)
    );
    assert!(rights(scoped, json!({ "scope": "openid" })).await.1);
    assert!(
        rights(scoped, json!({ "scope": "drafts:writer drafts" }))
            .await
            .1
    );
    assert_eq!(
        rights(scoped, json!({ "scope": ["drafts:admin"] })).await,
        ("alice".to_owned(), true, true)
    );
    assert_eq!(
        rights(|_| {}, json!({ "scope": "" })).await,
        ("alice".to_owned(), false, false)
    );
    let nested: fn(&mut JwtSection) = |section| {
        section.tenant_claim = "user.team".to_owned();
        section.scope_claim = "realm_access.roles".to_owned();
        section.write_scope = "editor".to_owned();
    };
    let extra = json!({ "user": { "team": "red" }, "realm_access": { "roles": ["editor"] } });
    assert_eq!(
        rights(nested, extra).await,
        ("red".to_owned(), false, false)
    );
    assert_ne!(rights(|_| {}, json!({ "sub": "local" })).await.0, "local");
}

#[test]
fn sections_that_cannot_work_are_refused() {
    let on = JwtSection {
        issuer: "https://id.example.com".to_owned(),
        audience: "capcut".to_owned(),
        keys: "https://id.example.com/keys".to_owned(),
        ..JwtSection::off()
    };
    assert_eq!(JwtSection::off().faults(), []);
    assert_eq!(on.faults(), []);
    let fault = |change: fn(&mut JwtSection)| {
        let mut section = on.clone();
        change(&mut section);
        section.faults().first().map(|(key, _)| *key)
    };
    assert_eq!(fault(|section| section.audience.clear()), Some("audience"));
    assert_eq!(
        fault(|section| section.algorithms.clear()),
        Some("algorithms")
    );
    assert_eq!(fault(|section| section.leeway_s = -1.0), Some("leeway_s"));
    assert_eq!(
        fault(|section| section.leeway_s = f64::NAN),
        Some("leeway_s")
    );
    assert_eq!(
        fault(|section| section.keys = "http://id.example.com/keys".to_owned()),
        Some("keys")
    );
    assert_eq!(
        fault(|section| section.keys = "http://localhost:1/keys".to_owned()),
        None
    );
    for name in ["none", "HS256", "rs256", "ES512"] {
        assert!(
            serde_json::from_value::<JwtAlgorithm>(json!(name)).is_err(),
            "{name}"
        );
    }
}
