//! Whose word on where a request comes from is believed, and what it can change.

use crate::application::Application;
use crate::login::Site;
use crate::raw::{Head, Wire};
use crate::scripted::{Script, ScriptedEdge};

/// Every way to lie about where a request comes from.
const LIES: &str = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 127.0.0.1\r\nx_forwarded_for: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
                    X-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 666\r\nX-Real-IP: 6.6.6.6\r\n\
                    Forwarded: for=6.6.6.6;proto=https;host=evil.example, for=\"[2001:db8::6]\"\r\n\
                    Forwarded: for=\"unfinished\r\n";

/// What the application gets of a request with these further fields, from a peer that these proxies are trusted beside.
async fn received(trusted: &[&str], fields: &str) -> Head {
    let app = Application::start().await;
    let edge = ScriptedEdge::start_believing(trusted, Script::alice(), &app.url()).await;
    let request = format!("GET / HTTP/1.1\r\nHost: app.example\r\n{fields}\r\n");
    let (head, body) = Wire::connect(edge.address).await.exchange(&request).await.expect("a response");
    assert_eq!(head.status(), 200, "{}", head.text);
    Head::echoed(body)
}

#[tokio::test]
async fn a_strangers_word_is_never_believed() {
    for trusted in [&[][..], &["10.0.0.0/8", "::1", "127.0.0.2"]] {
        let received = received(trusted, LIES).await;
        for (name, value) in [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-real-ip", "127.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "app.example"),
            ("x-forwarded-port", "80"),
            ("forwarded", "for=127.0.0.1;host=\"app.example\";proto=http"),
        ] {
            assert_eq!(received.values(name), [value], "{name} with {trusted:?}");
        }
        assert!(!received.text.contains("6.6.6.6") && !received.text.contains("evil"), "{}", received.text);
    }
}

#[tokio::test]
async fn a_trusted_proxys_word_is_believed_and_arrives_as_ours() {
    let trusted = ["127.0.0.0/8", "10.0.0.0/8"];
    for (fields, forwarded_for, proto, forwarded) in [
        ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7, 127.0.0.1", "http", "for=192.0.2.7;host=\"app.example\";proto=http, for=127.0.0.1"),
        (
            "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-For: 10.0.0.2\r\nX-Forwarded-Proto: https\r\n",
            "192.0.2.7, 10.0.0.2, 127.0.0.1",
            "https",
            "for=192.0.2.7;host=\"app.example\";proto=https, for=10.0.0.2, for=127.0.0.1",
        ),
        (
            "Forwarded: for=6.6.6.6, for=\"[2001:db8::7]:4711\";proto=https\r\n",
            "2001:db8::7, 127.0.0.1",
            "https",
            "for=\"[2001:db8::7]\";host=\"app.example\";proto=https, for=127.0.0.1",
        ),
        ("Forwarded: for=6.6.6.6, for=_hidden\r\n", "127.0.0.1", "http", "for=127.0.0.1;host=\"app.example\";proto=http"),
        ("Forwarded: for=6.6.6.6, for=unknown\r\n", "127.0.0.1", "http", "for=127.0.0.1;host=\"app.example\";proto=http"),
        ("X-Forwarded-For: 6.6.6.6, unknown\r\n", "127.0.0.1", "http", "for=127.0.0.1;host=\"app.example\";proto=http"),
    ] {
        let received = received(&trusted, &format!("x_forwarded_for: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n{fields}")).await;
        assert_eq!(received.values("x-forwarded-for"), [forwarded_for], "{fields}");
        assert_eq!(received.values("x-real-ip"), forwarded_for.split(", ").take(1).collect::<Vec<_>>(), "{fields}");
        assert_eq!(received.values("x-forwarded-proto"), [proto], "{fields}");
        assert_eq!(received.values("forwarded"), [forwarded], "{fields}");
        assert!(!received.text.contains("6.6.6.6"), "{}", received.text);
    }
    let received = received(&trusted, "X-Forwarded-Host: public.example:8443\r\nX-Forwarded-Port: 1\r\n").await;
    assert_eq!((received.values("x-forwarded-host"), received.values("x-forwarded-port")), (vec!["public.example:8443"], vec!["8443"]));
    assert_eq!(received.values("host"), ["app.example"], "what the decision was made on");
}

#[tokio::test]
async fn a_trusted_proxys_word_with_two_meanings_is_400() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start_believing(&["127.0.0.1"], Script::alice(), &app.url()).await;
    for fields in [
        "X-Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.8\r\n",
        "X-Forwarded-Proto: https\r\nForwarded: for=192.0.2.7;proto=http\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n",
        "X-Forwarded-Host: a.example, b.example\r\n",
        "Forwarded: for=\"192.0.2.7\r\n",
        "Forwarded: for=192.0.2.7;for=192.0.2.8\r\n",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let (head, _) = Wire::connect(edge.address).await.exchange(&request).await.expect("a response");
        assert_eq!(head.status(), 400, "{fields}");
    }
    assert_eq!(app.requests(), 0);
}

#[tokio::test]
async fn a_forwarded_host_moves_no_login_cookie_or_rule_whoever_tells_it() {
    // From a stranger first.
    moves_nothing("[]").await;
    let mut site = moves_nothing("\"127.0.0.1\"").await;
    // What is unclear is in the log, for the operator.
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Forwarded-Proto: ftp\r\n\r\n", site.address);
    let (head, _) = Wire::connect(site.address).await.exchange(&request).await.expect("a response");
    assert_eq!(head.status(), 400);
    let unclear = site.program.wait_for("forwarded.unclear").await;
    assert!(unclear["peer"] == "127.0.0.1" && !unclear.to_string().contains("ftp"), "{unclear}");
}

async fn moves_nothing(trusted: &str) -> Site {
    const RULES: &str = "[[vestibule.rule]]\nhost = \"127.0.0.1\"\n[[vestibule.rule]]\naccess = \"public\"\n";
    let more = format!("trusted_proxies = {trusted}\n{RULES}");
    let site = Site::start_configured(&more, Application::start().await, "http", &[], &[]).await;
    for fields in [
        "X-Forwarded-Host: public.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Prefix: /evil\r\n",
        "Forwarded: for=192.0.2.7;host=public.example;proto=https\r\n",
    ] {
        let request = format!("GET /app HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n{fields}\r\n", site.address);
        let (head, body) = Wire::connect(site.address).await.exchange(&request).await.expect("a response");
        assert_eq!(head.status(), 302, "the rule for its own host decides: {body}");
        let location: reqwest::Url = head.values("location")[0].parse().expect("a URL");
        let redirect_uri = location.query_pairs().find(|(name, _)| name == "redirect_uri").expect("a parameter").1.into_owned();
        assert_eq!(redirect_uri, site.url("/oauth2callback"));
        assert!(head.values("set-cookie").iter().all(|cookie| !cookie.contains("Domain") && !cookie.contains("Secure")), "{head:?}");
    }
    assert_eq!(site.app.requests(), 0);
    site
}
