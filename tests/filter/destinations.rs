//! Where a login or a logout may lead: to the public origin, whatever was asked for. The judge is the WHATWG URL parser,
//! which is the browsers', and it judges the `Location` that came out, not the value that went in.

use proptest::prelude::*;
use url::Url;
use vestibule::web::return_to::ReturnTo;

use crate::payloads;
use crate::rig::{Browser, CONFIG, Rig};

const PUBLIC: &str = "https://app.example/base/oauth2callback";

/// Resolves what is written in a `Location` as a browser does on a page of ours.
fn stays(location: &str) -> bool {
    let public = Url::parse(PUBLIC).unwrap();
    let plain = location.bytes().all(|byte| byte.is_ascii_graphic());
    plain && public.join(location).is_ok_and(|url| url.origin() == public.origin() && url.username().is_empty() && url.password().is_none())
}

#[test]
fn the_judge_can_tell() {
    for elsewhere in
        ["//evil.example", "/\\evil.example", "http:/evil.example", "https://app.example@evil.example/", "/\t/evil.example", "javascript:x"]
    {
        assert!(!stays(elsewhere), "{elsewhere}");
    }
    assert!(stays("/x") && stays("/.//x") && stays("https://app.example/x"));
}

#[test]
fn no_return_to_of_several_hundred_leaves_the_origin() {
    let public = Url::parse(PUBLIC).unwrap();
    let all = payloads::all();
    assert!(all.len() > 800, "{}", all.len());
    let mut kept = 0;
    for value in &all {
        // Written as it is, and as it may look after one decoding too few or too many.
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let decoded = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
        for value in [value, &encoded, &format!("/{encoded}"), &decoded] {
            if let Ok(page) = ReturnTo::parse(value, &public) {
                kept += 1;
                assert!(stays(page.as_str()) && !page.as_str().starts_with("//"), "{value:?} became {page:?}");
                assert_eq!(ReturnTo::parse(page.as_str(), &public), Ok(page.clone()), "{value:?}: what is kept is kept again");
            }
        }
    }
    assert!(kept > 800, "harmless spellings are let through, so that something was judged: {kept}");
}

#[test]
fn a_whole_login_ends_at_the_origin_whatever_return_to_says() {
    let mut rig = Rig::new(CONFIG);
    for value in payloads::all().iter().step_by(3) {
        let mut browser = Browser::default();
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        // Each login is over before the rig would think that they have no end.
        rig.sent.clear();
        let response = browser.log_in(&mut rig, &format!("/.vestibule/login?return_to={encoded}"), "alice");
        let location = response.header("location").unwrap();
        assert!(response.status == 302 && stays(location) && location.starts_with('/'), "{value:?} led to {location}");
        let location = browser.visit(&mut rig, &format!("/.vestibule/logout?return_to={encoded}")).response();
        assert!(location.header("location").is_some_and(|location| location.starts_with("https://op.example/logout?")), "{value:?}");
        let location = browser.visit(&mut rig, &format!("/.vestibule/logout?return_to={encoded}")).response();
        assert!(location.header("location").is_none_or(|location| stays(location) && location.starts_with('/')), "{value:?}");
    }
}

proptest! {
    #[test]
    fn no_text_at_all_leaves_the_origin(value in "\\PC{0,40}|[/\\\\.:@?#%;\\t\\r\\n \u{0}-\u{20}a-z0-9]{0,24}|(https?|HTTPS?):?[/\\\\]{0,4}[\\PC]{0,20}") {
        let public = Url::parse(PUBLIC).unwrap();
        if let Ok(page) = ReturnTo::parse(&value, &public) {
            prop_assert!(stays(page.as_str()), "{value:?} became {page:?}");
            prop_assert!(page.as_str().starts_with('/') && !page.as_str().starts_with("//"));
        }
    }

    #[test]
    fn no_path_under_the_origin_is_lost(path in "(/[a-z0-9._~-]{1,8}){1,5}(\\?[a-z0-9=&%20]{0,20})?") {
        let public = Url::parse(PUBLIC).unwrap();
        let has_dots = path.split(['/', '?']).any(|segment| segment == "." || segment == "..");
        if !has_dots {
            let page = ReturnTo::parse(&path, &public).unwrap();
            prop_assert_eq!(page.as_str(), path.as_str());
        }
    }
}
