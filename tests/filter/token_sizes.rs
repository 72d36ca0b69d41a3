//! The head of the answer that sets a session of 50 groups with an ID token and an access token that is a JWT and repeats the
//! groups, as three providers issue them: every value that a provider draws at random is random here, and each token has its own.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use vestibule::web::http::Response;

use crate::rig::{Browser, CONFIG, Provider, Rig, SigningKey, way_on};

const GROUPS: usize = 50;

/// 3.5 KiB: what is left of nginx's 4 KiB is for the headers that other servers add.
const MAX_HEAD_BYTES: usize = 3_584;

/// Bytes that do not compress, the same for the same name.
fn random<const N: usize>(name: &str) -> [u8; N] {
    let mut bytes = [0; N];
    for (block, part) in bytes.chunks_mut(32).enumerate() {
        part.copy_from_slice(&Sha256::digest(format!("{name}/{block}"))[..part.len()]);
    }
    bytes
}

fn text<const N: usize>(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(random::<N>(name))
}

fn guid(name: &str) -> String {
    uuid::Builder::from_random_bytes(random(name)).into_uuid().hyphenated().to_string()
}

fn groups() -> String {
    let groups: Vec<_> = (0..GROUPS).map(|number| format!("\"{}\"", guid(&format!("group {number}")))).collect();
    format!("[{}]", groups.join(","))
}

/// What a provider issues.
struct Shape {
    name: &'static str,
    issuer: String,
    client_id: String,
    header: String,
    /// Payloads, with `NOW` for the time, `LATER` for the end and `NONCE` for the nonce.
    id_token: String,
    access_token: String,
}

/// Version 2.0, the access token for an API of the operator's own: `sub` is another for each application, and every token has
/// its own `aio`, `rh` and `uti`.
fn entra() -> Shape {
    let tenant = guid("tenant");
    let (issuer, client_id) = (format!("https://login.microsoftonline.com/{tenant}/v2.0"), guid("client"));
    let (api, oid, sid, groups) = (guid("api"), guid("oid"), guid("sid"), groups());
    let of_token =
        |token: &str| (text::<48>(&format!("aio {token}")), text::<38>(&format!("rh {token}")), text::<32>(&format!("sub {token}")));
    let (aio, rh, sub) = of_token("id");
    let id_token = format!(
        r#"{{"aud":"{client_id}","iss":"{issuer}","iat":NOW,"nbf":NOW,"exp":LATER,"aio":"{aio}","email":"alice@example.com","groups":{groups},"name":"Alice Example","nonce":"NONCE","oid":"{oid}","preferred_username":"alice@example.com","rh":"1.{rh}.","sid":"{sid}","sub":"{sub}","tid":"{tenant}","uti":"{}","ver":"2.0"}}"#,
        text::<16>("uti id"),
    );
    let (aio, rh, sub) = of_token("access");
    let access_token = format!(
        r#"{{"aud":"{api}","iss":"{issuer}","iat":NOW,"nbf":NOW,"exp":LATER,"aio":"{aio}","azp":"{client_id}","azpacr":"1","groups":{groups},"name":"Alice Example","oid":"{oid}","preferred_username":"alice@example.com","rh":"1.{rh}.","scp":"access_as_user","sid":"{sid}","sub":"{sub}","tid":"{tenant}","uti":"{}","ver":"2.0"}}"#,
        text::<16>("uti access"),
    );
    let header = format!(r#"{{"typ":"JWT","alg":"RS256","kid":"{}"}}"#, text::<20>("kid"));
    Shape { name: "Entra", issuer, client_id, header, id_token, access_token }
}

fn keycloak() -> Shape {
    let (issuer, client_id) = ("https://sso.example.com/realms/corp".to_owned(), "reports".to_owned());
    let (sub, sid, groups) = (guid("sub"), guid("sid"), groups());
    let person = format!(
        r#""email_verified":true,"name":"Alice Example","groups":{groups},"preferred_username":"alice","given_name":"Alice","family_name":"Example","email":"alice@example.com"}}"#
    );
    let id_token = format!(
        r#"{{"exp":LATER,"iat":NOW,"auth_time":NOW,"jti":"{}","iss":"{issuer}","aud":"{client_id}","sub":"{sub}","typ":"ID","azp":"{client_id}","nonce":"NONCE","sid":"{sid}","at_hash":"AT_HASH","acr":"1",{person}"#,
        guid("jti id")
    );
    let access_token = format!(
        r#"{{"exp":LATER,"iat":NOW,"auth_time":NOW,"jti":"onrtac:{}","iss":"{issuer}","aud":"account","sub":"{sub}","typ":"Bearer","azp":"{client_id}","sid":"{sid}","acr":"1","allowed-origins":["https://app.example"],"realm_access":{{"roles":["default-roles-corp","offline_access","uma_authorization"]}},"resource_access":{{"account":{{"roles":["manage-account","manage-account-links","view-profile"]}}}},"scope":"openid profile email",{person}"#,
        guid("jti access")
    );
    let header = format!(r#"{{"alg":"RS256","typ" : "JWT","kid" : "{}"}}"#, text::<32>("kid"));
    Shape { name: "Keycloak", issuer, client_id, header, id_token, access_token }
}

fn okta() -> Shape {
    let issuer = "https://corp.okta.com/oauth2/default".to_owned();
    let of = |kind: &str, name: &str| format!("{kind}{}", &text::<16>(name)[..17]);
    let (client_id, sub, groups) = (of("0oa", "client"), of("00u", "sub"), groups());
    let id_token = format!(
        r#"{{"sub":"{sub}","name":"Alice Example","email":"alice@example.com","ver":1,"iss":"{issuer}","aud":"{client_id}","iat":NOW,"exp":LATER,"jti":"ID.{}","amr":["pwd","mfa","otp"],"idp":"{}","nonce":"NONCE","preferred_username":"alice@example.com","auth_time":NOW,"at_hash":"AT_HASH","groups":{groups}}}"#,
        text::<32>("jti id"),
        of("00o", "idp"),
    );
    let access_token = format!(
        r#"{{"ver":1,"jti":"AT.{}","iss":"{issuer}","aud":"api://default","iat":NOW,"exp":LATER,"cid":"{client_id}","uid":"{sub}","scp":["openid","profile","email"],"auth_time":NOW,"sub":"alice@example.com","groups":{groups}}}"#,
        text::<32>("jti access"),
    );
    let header = format!(r#"{{"kid":"{}","alg":"RS256"}}"#, text::<32>("kid"));
    Shape { name: "Okta", issuer, client_id, header, id_token, access_token }
}

fn signed(header: &str, payload: &str) -> String {
    let signed = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = SigningKey::rsa().sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The rig, and the access token that it has issued.
fn rig(shape: &Shape, exposed: &str) -> (Rig, Arc<Mutex<String>>) {
    let config = CONFIG
        .replace("https://op.example", &shape.issuer)
        .replace("client-1", &shape.client_id)
        .replace("client_secret", &format!("expose_tokens = {exposed}\nclient_secret"));
    let mut rig = Rig::new(&config);
    rig.provider = Provider::new(&shape.issuer);
    rig.provider.key = SigningKey::rsa();
    rig.provider.kid = serde_json::from_str::<serde_json::Value>(&shape.header).unwrap()["kid"].as_str().map(str::to_owned);
    let issued_token = Arc::new(Mutex::new(String::new()));
    let issued_here = Arc::clone(&issued_token);
    let (header, id_token, access_token) = (shape.header.clone(), shape.id_token.clone(), shape.access_token.clone());
    rig.provider.edit_answer = Some(Box::new(move |answer| {
        let issued = answer["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
        let issued: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(issued).unwrap()).unwrap();
        let times = |payload: &str| payload.replace("NOW", &issued["iat"].to_string()).replace("LATER", &issued["exp"].to_string());
        let access = signed(&header, &times(&access_token));
        let hash = SigningKey::rsa().half_of_hash(&access);
        let id_token = times(&id_token).replace("NONCE", issued["nonce"].as_str().unwrap()).replace("AT_HASH", &hash);
        answer["id_token"] = signed(&header, &id_token).into();
        issued_here.lock().unwrap().clone_from(&access);
        answer["access_token"] = access.into();
    }));
    (rig, issued_token)
}

/// The whole head in HTTP/1.1, with what a host adds.
fn head_bytes(answer: &Response) -> usize {
    let lines: usize = answer.headers.iter().map(|(name, value)| name.len() + value.len() + ": \r\n".len()).sum();
    "HTTP/1.1 302 Found\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 1000\r\n\r\n".len() + lines
}

/// A link of a dashboard with a filter.
fn long_link() -> String {
    let rows = (0..24).map(|row| format!("var-host=web-{row:03}.example.com")).collect::<Vec<_>>().join("&");
    format!("/d/0abcdef/overview?from=now-6h&to=now&{rows}")
}

#[test]
fn an_answer_with_both_tokens_of_fifty_groups_fits_whatever_the_page() {
    let documented = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cookies.md")).unwrap();
    for shape in [entra(), keycloak(), okta()] {
        let (_, row) = documented.split_once(&format!("\n| {} | ", shape.name)).unwrap();
        let mut cells = row.split(" B |").map(|cell| cell.trim().parse::<usize>());
        let [short, long] = [(); 2].map(|()| cells.next().unwrap().unwrap());
        for (page, documented) in [("/", short), (&long_link(), long), (&format!("/x?q={}", "y".repeat(5_000)), long)] {
            let ((mut rig, issued), mut browser) = (rig(&shape, r#"["id", "access"]"#), Browser::default());
            let answer = browser.log_in(&mut rig, page, "alice");
            assert!(answer.status < 400, "{}: {:?}", shape.name, rig.messages);
            let bytes = head_bytes(&answer);
            println!("{}, a page of {} bytes: {bytes}", shape.name, page.len());
            assert!(bytes <= MAX_HEAD_BYTES, "{}, a page of {} bytes: {bytes}", shape.name, page.len());
            // `at_hash` depends on the key, which is another in each run.
            assert!(bytes.abs_diff(documented) <= 8, "docs/cookies.md, {}, a page of {} bytes: {bytes}", shape.name, page.len());
            assert_eq!(way_on(&answer), page, "{}", shape.name);
            // The application gets the token as it was issued.
            let forwarded = browser.visit(&mut rig, "/data").forward();
            let (_, told) = forwarded.set_headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-access-token")).unwrap();
            assert_eq!(told, issued.lock().unwrap().as_bytes(), "{}", shape.name);
        }
    }
}

/// Characters of a refresh token, as issued: Entra's are opaque, Keycloak's are JWTs, Okta's are 43 characters long.
fn refresh_token(shape: &Shape) -> String {
    let length = match shape.name {
        "Entra" => 1_500,
        "Keycloak" => 780,
        _ => 43,
    };
    text::<1_200>(&format!("refresh token of {}", shape.name))[..length].to_owned()
}

fn refreshing(shape: &Shape) -> Rig {
    let (plain, _) = rig(shape, r#"["id", "access"]"#);
    let config = CONFIG
        .replace("https://op.example", &shape.issuer)
        .replace("client-1", &shape.client_id)
        .replace("client_secret", "expose_tokens = [\"id\", \"access\"]\nclient_secret");
    let mut rig = Rig::new(&format!("{config}\n[vestibule.session]\nrefresh = \"auto\"\n"));
    rig.provider = plain.provider;
    let (issue, token) = (rig.provider.edit_answer.take().unwrap(), refresh_token(shape));
    rig.provider.edit_answer = Some(Box::new(move |answer| {
        issue(answer);
        answer["refresh_token"] = token.clone().into();
    }));
    rig
}

/// One that is too long for an address is in the answer, whatever its size.
#[test]
fn a_refresh_token_that_is_longer_than_an_address_is_not_lost() {
    let shape = entra();
    let (mut rig, mut browser) = (refreshing(&shape), Browser::default());
    let issue = rig.provider.edit_answer.take().unwrap();
    rig.provider.edit_answer = Some(Box::new(move |answer| {
        issue(answer);
        answer["refresh_token"] = text::<3_600>("long").into();
    }));
    assert_eq!(way_on(&browser.log_in(&mut rig, "/page", "alice")), "/page");
    assert!(has_refresh_token(&browser));
}

fn has_refresh_token(browser: &Browser) -> bool {
    browser.cookies.keys().any(|name| name.contains("vestibule_refresh_"))
}

#[test]
fn every_answer_of_a_login_with_a_refresh_token_fits_whatever_the_page() {
    for shape in [entra(), keycloak(), okta()] {
        for page in ["/", &long_link(), &format!("/x?q={}", "y".repeat(5_000)), &format!("/x?q={}", text::<1_500>("page"))] {
            let (mut rig, mut browser) = (refreshing(&shape), Browser::default());
            let first = browser.log_in(&mut rig, page, "alice");
            println!("{}, a page of {} bytes: {}", shape.name, page.len(), head_bytes(&first));
            assert!(head_bytes(&first) <= MAX_HEAD_BYTES, "{}: {}", shape.name, head_bytes(&first));
            let mut onward = way_on(&first);
            if onward != page {
                assert!(!has_refresh_token(&browser) && onward.starts_with("/oauth2callback?vestibule_onward="), "{onward}");
                assert!(onward.len() < 5 * 1024, "{}", onward.len());
                let second = browser.visit(&mut rig, &onward).response();
                println!("  the second: {}", head_bytes(&second));
                assert!(head_bytes(&second) <= MAX_HEAD_BYTES.max(page.len() + 512), "{}: {}", shape.name, head_bytes(&second));
                onward = way_on(&second);
            }
            assert_eq!(onward, page, "{}", shape.name);
            assert!(has_refresh_token(&browser));
            // The token is the one that was issued: it is asked with.
            rig.now += 3_600;
            browser.visit(&mut rig, "/data");
            let asked =
                rig.sent.iter().rfind(|request| String::from_utf8_lossy(&request.body).contains("grant_type=refresh_token")).unwrap();
            let sent: std::collections::BTreeMap<_, _> = url::form_urlencoded::parse(&asked.body).into_owned().collect();
            assert_eq!(sent["refresh_token"], refresh_token(&shape), "{}", shape.name);
        }
    }
}

#[test]
fn the_second_half_of_a_login_is_for_its_own_session_and_counts_once() {
    let shape = entra();
    let (mut rig, mut browser) = (refreshing(&shape), Browser::default());
    let onward = way_on(&browser.log_in(&mut rig, "/page", "alice"));
    assert!(onward.contains("vestibule_onward"));
    let (_, sealed) = onward.split_once('=').unwrap();
    assert!(!sealed.contains(&refresh_token(&shape)[..20]));
    let mut other = Browser::default();
    other.log_in(&mut rig, "/", "alice");
    for mut stranger in [Browser::default(), other] {
        let before = stranger.cookies.clone();
        let refused = stranger.visit(&mut rig, &onward).response();
        assert_eq!((refused.status, rig.last_event()), (400, "callback.malformed"));
        assert_eq!(stranger.cookies, before);
    }
    // Changed, cut, doubled, and with something else beside it.
    for changed in
        [format!("{onward}A"), onward[..onward.len() - 1].to_owned(), format!("{onward}&vestibule_onward=x"), format!("{onward}&state=x")]
    {
        let before = browser.cookies.clone();
        assert_eq!(browser.clone().visit(&mut rig, &changed).response().status, 400, "{changed}");
        assert_eq!(browser.cookies, before);
    }
    // A cookie is not an address, and an address is no cookie.
    let name = browser.cookies.keys().find(|name| name.contains("_session_")).unwrap().replace("_session_", "_refresh_");
    let mut planted = browser.clone();
    planted.cookies.insert(name, format!("1~{sealed}"));
    rig.now += 1;
    assert_eq!(way_on(&planted.visit(&mut rig, &onward).response()), "/page", "what is planted is none, and makes room");
    assert!(planted.cookies.values().all(|value| !value.contains(sealed)));

    assert_eq!(way_on(&browser.visit(&mut rig, &onward).response()), "/page");
    let after = browser.cookies.clone();
    assert_eq!(way_on(&browser.visit(&mut rig, &onward).response()), "/page");
    assert_eq!(browser.cookies, after, "a token that may have been used since does not come back");
    rig.now += 2 * 60;
    assert_eq!(browser.visit(&mut rig, &onward).response().status, 400, "an address of the history");
    assert_eq!(browser.cookies, after);
}

/// The room that no encoding can spare, for what the answer has to say: bytes drawn at random by the provider or by Vestibule.
#[test]
fn four_fifths_of_the_cookies_are_random() {
    const NONCE_AND_TAG: usize = 24 + 16;
    const SIGNATURE: usize = 256;
    const GUID: usize = 16;
    // In the session: its name, those of account and provider session, the groups, tenant, client, `oid`, `sid`, `sub`, `aio`, `rh`,
    // `uti`, nonce. In the tokens: two signatures, `kid`, and what the access token has for itself: its API, `sub`, `aio`, `rh`, `uti`.
    let session = NONCE_AND_TAG + 3 * 16 + (GROUPS + 4) * GUID + 32 + 48 + 38 + 16 + 32;
    let tokens = NONCE_AND_TAG + 2 * SIGNATURE + 20 + GUID + 32 + 48 + 38 + 16;
    let base64url = |bytes: usize| (bytes * 4).div_ceil(3);
    let least = base64url(session) + base64url(tokens);

    let ((mut rig, _), mut browser) = (rig(&entra(), r#"["id", "access"]"#), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let sealed: usize = browser.cookies.values().map(String::len).sum();
    println!("random: {least} of {sealed} characters");
    assert!(least <= sealed && sealed * 78 <= least * 100, "{least} of {sealed}");
}
