//! What leads from an answer to the log.

use super::*;

/// What a person reads out, and what a program keeps, leads to the lines of the log.
#[test]
fn an_answer_has_what_the_log_knows_it_by_and_nothing_more() {
    let config = config("");
    let numbers = |page: &str| page.matches("<code>").count();
    let way_back = WaysBack { pages: &[], keep_fragment: false, has_lost_one: false };
    for language in Language::ALL {
        for request_id in [None, Some("a"), Some("0af7651916cd43dd8448eb211c80319c"), Some("</code><script>alert('1')</script>&\"")] {
            let log_keys = LogKeys { request_id, ..KEYS };
            let of_error = error(&Error::NotVisited, &config, language, way_back, log_keys, &mut Fixed::default());
            let of_host = host_failure(HostFailure::Filter, Some(language), &Look::of(&config), log_keys, "bm9uY2Ugb2YgMTYgYnl0");
            for page in [of_error, of_host] {
                check_markup(&page);
                let body = body(&page);
                assert!(body.contains("<code>ABCDEFGHJK</code>"), "{body}");
                assert_eq!(numbers(&body), 1 + usize::from(request_id.is_some()), "{body}");
                assert_eq!(body.contains(language.texts().request_id), request_id.is_some(), "{body}");
                if let Some(id) = request_id {
                    let shown = askama::filters::escape(id, askama::filters::Html).unwrap().to_string();
                    assert!(body.contains(&format!("{} <code>{shown}</code></p>", language.texts().request_id)), "{body}");
                }
            }
        }
    }
    for (log_keys, members) in [
        (KEYS, ["\"ABCDEFGHJK\"", "\"0af7651916cd43dd8448eb211c80319c\""]),
        (LogKeys { request_id: Some("\"}"), ..KEYS }, ["\"ABCDEFGHJK\"", r#""\"}""#]),
        (LogKeys { request_id: None, ..KEYS }, ["\"ABCDEFGHJK\"", "null"]),
        (LogKeys::of_request(KEYS.request_id), ["null", "\"0af7651916cd43dd8448eb211c80319c\""]),
        (LogKeys::default(), ["null", "null"]),
    ] {
        for answer in
            [problem(&Error::NotVisited, None, log_keys), host_failure(HostFailure::Filter, None, &Look::default(), log_keys, "unused")]
        {
            let problem: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!([problem["reference"].to_string(), problem["request_id"].to_string()], members);
            assert_eq!(problem.get("request_id").is_some(), log_keys.request_id.is_some(), "left out, not null");
        }
    }
}
