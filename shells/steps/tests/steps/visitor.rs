//! A browser and the scripted provider of the core's tests, on both sides of the module.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::Url;
use vestibule::web::http::{OutboundError, OutboundRequest};

use crate::host::Host;
use crate::rig::{Browser, HOST, Provider};

pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

pub(crate) fn bytes(text: &Value) -> Vec<u8> {
    text.as_str().unwrap().chars().map(|c| u8::try_from(c).unwrap()).collect()
}

/// A request for a page, over https.
pub(crate) fn get(path: &str, browser: &Browser, more: &[(&str, &str)]) -> Value {
    let mut headers = vec![json!(["host", HOST]), json!(["accept", "text/html"])];
    if !browser.cookies.is_empty() {
        let line = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        headers.push(json!(["cookie", line]));
    }
    headers.extend(more.iter().map(|(name, value)| json!([name, value])));
    json!({ "method": "GET", "target": path, "headers": headers, "tls": true, "client": "192.0.2.7" })
}

/// Decides, and asks the provider as often as the module wants.
pub(crate) fn decide(host: &mut Host, provider: &mut Provider, request: &Value) -> Value {
    let answer = host.begin(request);
    finish(host, provider, answer)
}

pub(crate) fn finish(host: &mut Host, provider: &mut Provider, mut answer: Value) -> Value {
    for _ in 0..20 {
        match answer.get("fetch") {
            Some(fetch) => answer = host.resume(&fetch["id"], &send(provider, fetch, host.store.data().now)),
            None => return answer["decided"].clone(),
        }
    }
    panic!("the module asks for ever");
}

/// The result of a `fetch`.
pub(crate) fn send(provider: &mut Provider, fetch: &Value, now: u64) -> Value {
    let fields = fetch["headers"].as_array().unwrap().iter().map(|field| (field[0].as_str().unwrap().to_owned(), bytes(&field[1])));
    let headers: Vec<_> = fields.collect();
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"user-agent") && names.contains(&"accept-encoding"), "{names:?}");
    let request = OutboundRequest {
        method: if fetch["method"] == "POST" { "POST" } else { "GET" },
        url: Url::parse(fetch["url"].as_str().unwrap()).unwrap(),
        headers,
        body: STANDARD.decode(fetch["body"].as_str().unwrap()).unwrap(),
        max_response_bytes: u32::try_from(fetch["max_response_bytes"].as_u64().unwrap()).unwrap(),
        timeout_ms: u32::try_from(fetch["timeout_ms"].as_u64().unwrap()).unwrap(),
        shared_for_ms: None,
    };
    match provider.answer(&request, now) {
        Ok(answer) => {
            let headers: Vec<_> = answer.headers.iter().map(|(name, value)| json!([name, latin1(value)])).collect();
            json!({ "response": { "status": answer.status, "headers": headers, "body": STANDARD.encode(answer.body) } })
        }
        Err(OutboundError::Unreachable(why)) => json!({ "unreachable": why }),
        Err(OutboundError::TimedOut) => json!("timed_out"),
        Err(OutboundError::TooLarge) => json!("too_large"),
        Err(OutboundError::NotAllowed) => json!("not_allowed"),
        Err(OutboundError::Protocol(why)) => json!({ "protocol": why }),
    }
}

/// The values of a field in a list of them.
pub(crate) fn values(headers: &Value, name: &str) -> Vec<String> {
    let all = headers.as_array().unwrap().iter();
    all.filter(|field| field[0].as_str().unwrap().eq_ignore_ascii_case(name)).map(|field| field[1].as_str().unwrap().to_owned()).collect()
}

/// The browser keeps the cookies of an answer.
pub(crate) fn take(browser: &mut Browser, headers: &Value) {
    let cookies: Vec<_> = values(headers, "set-cookie").into_iter().map(|value| ("set-cookie".to_owned(), value.into_bytes())).collect();
    browser.take(&cookies);
}

/// Starts at a page; returns the address at the provider.
pub(crate) fn start(host: &mut Host, provider: &mut Provider, browser: &mut Browser, page: &str) -> Url {
    let decision = decide(host, provider, &get(page, browser, &[]));
    let response = &decision["outcome"]["respond"];
    assert_eq!(response["status"], 302, "{decision}");
    take(browser, &response["headers"]);
    Url::parse(&values(&response["headers"], "location")[0]).unwrap()
}

/// Logs in as somebody, from a page back to it.
pub(crate) fn log_in(host: &mut Host, provider: &mut Provider, browser: &mut Browser, sub: &str) {
    let location = start(host, provider, browser, "/reports");
    let callback = provider.authorize(&location, sub);
    let decision = decide(host, provider, &get(&callback, browser, &[]));
    let response = &decision["outcome"]["respond"];
    assert_eq!(response["status"], 302, "{decision}");
    take(browser, &response["headers"]);
}
