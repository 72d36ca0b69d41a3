//! What the core says that an answer counts as: for hosts that give each client so many of them.

use vestibule::decision::Outcome;
use vestibule::limit::Counted;
use vestibule::web::http::{RequestHead, Response};

use crate::rig::{self, Browser, CONFIG, Rig};

fn counted(rig: &mut Rig, head: &RequestHead, body: Option<&[u8]>) -> (u16, Option<Counted>) {
    match rig.decide(head, body).outcome {
        Outcome::Respond(Response { status, counts_as, .. }) => (status, counts_as),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_login_that_starts_counts_whatever_has_started_it_and_nothing_else_does() {
    let (mut rig, browser) = (Rig::new(CONFIG), Browser::default());
    let page = browser.head("/page");
    for (head, status, counts) in [
        (page.clone(), 302, true),
        (browser.head("/.vestibule/login"), 302, true),
        (browser.head("/.vestibule/login?return_to=/x&prompt=select_account"), 302, true),
        (RequestHead { method: "HEAD".into(), ..browser.head("/.vestibule/login") }, 200, false),
        (RequestHead::get("/data.json", rig::HOST), 401, false),
        (RequestHead { method: "POST".into(), ..page.clone() }, 401, false),
        (RequestHead::get("/page", "other.example").with("accept", "text/html"), 302, false),
        (browser.head("/.vestibule/login").with("sec-fetch-mode", "no-cors"), 403, false),
        (browser.head("/.vestibule/login?provider=nobody"), 404, false),
        (browser.head("/.vestibule/user"), 200, false),
        (browser.head("/a/../b"), 400, false),
    ] {
        let expected = (status, counts.then_some(Counted::LoginStart));
        assert_eq!(counted(&mut rig, &head, None), expected, "{} {}", head.method, head.path_with_query);
    }
    // With several providers it is the choice that starts one.
    let several = format!(
        "{CONFIG}[auth.other]\nclient_id = \"client-2\"\nclient_secret = \"secret-2\"\n\
         server_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n"
    );
    let mut rig = Rig::new(&several);
    assert_eq!(counted(&mut rig, &page, None), (200, None));
    assert_eq!(counted(&mut rig, &browser.head("/.vestibule/login?provider=default"), None), (302, Some(Counted::LoginStart)));
}

#[test]
fn a_callback_that_is_refused_counts_and_one_that_ends_well_does_not() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let bad = Some(Counted::BadCallback);
    let post = |path: &str| {
        RequestHead { method: "POST".into(), ..RequestHead::get(path, rig::HOST) }.with("content-type", "application/x-www-form-urlencoded")
    };
    for (head, body, expected) in [
        (browser.head("/oauth2callback?code=x&state=y"), None, (400, bad)),
        (browser.head("/oauth2callback?code=x"), None, (400, bad)),
        (browser.head("/oauth2callback?error=access_denied"), None, (403, bad)),
        (post("/oauth2callback"), Some(&b"code=x&code=y&state=z"[..]), (400, bad)),
        (post("/oauth2callback"), Some(b"code=x&state=y"), (303, None)),
        // They cost nobody anything: a page elsewhere may have them made by the hundred.
        (browser.head("/oauth2callback?code=x&state=y").with("sec-fetch-mode", "no-cors"), None, (403, None)),
        (RequestHead { method: "PUT".into(), ..browser.head("/oauth2callback") }, None, (405, None)),
        (RequestHead { method: "HEAD".into(), ..browser.head("/oauth2callback?code=x&state=y") }, None, (200, None)),
        (browser.head("/oauth2callback"), None, (400, bad)),
        (browser.head("/oauth2callback?state=logout.x"), None, (400, bad)),
    ] {
        assert_eq!(counted(&mut rig, &head, body), expected, "{} {}", head.method, head.path_with_query);
    }

    // The provider is asked, and says no.
    let location = browser.start(&mut rig, "/page");
    let made_up = rig.provider.authorize(&location, "alice").replacen("code=", "code=x", 1);
    let asked = rig.sent.len();
    let refused = browser.visit(&mut rig, &made_up).response();
    assert_eq!((rig.last_event(), refused.counts_as, rig.sent.len()), ("token.refused", bad, asked + 1));

    let location = browser.start(&mut rig, "/page");
    let callback = rig.provider.authorize(&location, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().counts_as, None);
    assert_eq!(rig.last_event(), "login.succeeded");
    assert_eq!(browser.visit(&mut rig, &callback).response().counts_as, None, "the Back button");
    browser.visit(&mut rig, "/page").forward();
}
