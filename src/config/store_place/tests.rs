use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::*;

/// Address, database, user and password.
type Seen = (RedisAddress, u16, Option<(Option<String>, String)>);

fn seen(server: &RedisServer) -> Seen {
    let login = server.login.as_ref().map(|login| (login.user.clone(), login.password.expose().to_owned()));
    (server.address.clone(), server.database, login)
}

fn server(text: &str) -> Seen {
    match StorePlace::parse(text) {
        Ok(StorePlace::Redis(server)) => seen(&server),
        other => panic!("{text}: {other:?}"),
    }
}

fn fault(text: &str) -> Option<NoStorePlace> {
    StorePlace::parse(text).err()
}

fn tcp(host: &str, port: u16, is_tls: bool) -> RedisAddress {
    RedisAddress::Tcp { host: host.into(), port, is_tls }
}

#[test]
fn each_form_says_where_and_who() {
    let login = |user: Option<&str>, password: &str| Some((user.map(str::to_owned), password.to_owned()));
    let socket = || RedisAddress::Unix("/run/redis/redis.sock".into());
    for (text, expected) in [
        ("redis://redis.internal", (tcp("redis.internal", 6379, false), 0, None)),
        ("redis://redis.internal/", (tcp("redis.internal", 6379, false), 0, None)),
        ("redis://10.0.0.7:7000/3", (tcp("10.0.0.7", 7000, false), 3, None)),
        ("redis://redis_1/65535", (tcp("redis_1", 6379, false), 65535, None)),
        ("rediss://vestibule:p%40s+s@redis.internal:6380", (tcp("redis.internal", 6380, true), 0, login(Some("vestibule"), "p@s+s"))),
        ("redis://:secret@[fd00::7]:6379/0", (tcp("fd00::7", 6379, false), 0, login(None, "secret"))),
        ("redis://u:p@ss@host", (tcp("host", 6379, false), 0, login(Some("u"), "p@ss"))),
        ("redis+unix:///run/redis/redis.sock", (socket(), 0, None)),
        ("redis+unix:///run/redis/redis.sock?db=1", (socket(), 1, None)),
        ("redis+unix:///run/redis/redis.sock?pass=p%26s+s", (socket(), 0, login(None, "p&s+s"))),
        ("redis+unix:///run/redis/redis.sock?pass=b&user=a&db=15", (socket(), 15, login(Some("a"), "b"))),
        ("redis+unix:///run/my%20redis", (RedisAddress::Unix("/run/my redis".into()), 0, None)),
    ] {
        assert_eq!(server(text), expected, "{text}");
    }
    for (text, path) in
        [("file:/var/lib/vestibule/ended", "/var/lib/vestibule/ended"), ("file:///ended", "/ended"), ("file:/a%20b?c#d", "/a%20b?c#d")]
    {
        assert!(matches!(StorePlace::parse(text), Ok(StorePlace::File(found)) if found == path), "{text}");
    }
}

#[test]
fn what_would_have_no_effect_or_another_one_is_a_fault() {
    use NoStorePlace as No;

    for (text, expected) in [
        ("", No::Form),
        ("http://host", No::Form),
        ("unix:///run/s", No::Form),
        ("redis.internal:6379", No::Form),
        ("redis:host", No::Form),
        (" redis://host", No::Form),
        ("redis://host/0\n", No::Form),
        ("redis://ho\tst", No::Form),
        ("file:", No::FilePath),
        ("file:ended", No::FilePath),
        ("file:/var/lib/", No::FilePath),
        ("file:///", No::FilePath),
        ("file:////ended", No::FilePath),
        ("file:/var/lib/..", No::FilePath),
        ("file:/var/lib/.", No::FilePath),
        ("file:/a\nb", No::FilePath),
        ("file://host/ended", No::FileHost),
        ("redis://", No::Host),
        ("redis:///0", No::Host),
        ("redis://host:0", No::Host),
        ("redis://host:65536", No::Host),
        ("redis://ho%20st", No::Host),
        ("redis://h\u{f6}st", No::Host),
        ("redis://:a/b@host", No::Host),
        ("redis://host/name", No::Database),
        ("redis://host/-1", No::Database),
        ("redis://host/+1", No::Database),
        ("redis://host//1", No::Database),
        ("redis://host/1/", No::Database),
        ("redis://host/65536", No::Database),
        ("redis://h/99999999999", No::Database),
        ("redis+unix:///run/s?db=", No::Database),
        ("redis+unix:///run/s?db=+1", No::Database),
        ("redis+unix:///run/s?db=99999999999", No::Database),
        ("redis://host/0?protocol=resp3", No::Query),
        ("redis://host?", No::Query),
        ("redis+unix:///run/s?DB=3&user=nobody&password=x", No::UnknownKey),
        ("redis+unix:///run/s?protocol=resp3", No::UnknownKey),
        ("redis+unix:///run/s?", No::UnknownKey),
        ("redis+unix:///run/s?db=1&", No::UnknownKey),
        ("redis+unix:///run/s?db", No::UnknownKey),
        ("redis+unix:///run/s?db=1&db=2", No::DoubledKey),
        ("redis+unix:///run/s?db=1&d%62=1", No::DoubledKey),
        ("redis+unix:///run/s?user=a&pass=b&user=a", No::DoubledKey),
        ("redis+unix:///run/s?user=nobody", No::NoPassword),
        ("redis+unix:///run/s?user=a&pass=", No::NoPassword),
        ("redis+unix:///run/s?user=&pass=b", No::NoPassword),
        ("redis+unix:///run/s?pass=", No::NoPassword),
        ("redis://nobody@host", No::NoPassword),
        ("redis://nobody:@host", No::NoPassword),
        ("redis://:@host", No::NoPassword),
        ("redis://@host", No::NoPassword),
        ("redis+unix://host/run/s", No::SocketHost),
        ("redis+unix://localhost/run/s", No::SocketHost),
        ("redis+unix://a:b@/run/s", No::SocketHost),
        ("redis+unix://", No::SocketPath),
        ("redis+unix:///", No::SocketPath),
        ("redis+unix:///run/", No::SocketPath),
        ("rediss://host/#insecure", No::Fragment),
        ("redis+unix:///run/s#insecure", No::Fragment),
        ("redis://a:%ff@host", No::Encoding),
        ("redis+unix:///run/s?pass=%00", No::Encoding),
        ("redis+unix:///run/s%00", No::Encoding),
    ] {
        assert_eq!(fault(text), Some(expected), "{text}");
    }
    let socket = |length: usize| format!("redis+unix:///{}", "s".repeat(length - 1));
    assert_eq!((fault(&socket(107)), fault(&socket(108))), (None, Some(No::SocketPath)));
    let file = |length: usize| format!("file:/{}", "s".repeat(length - 1));
    assert_eq!((fault(&file(4095)), fault(&file(4096))), (None, Some(No::FilePath)));
}

proptest! {
    /// The two forms of a server say the same, whatever user and password are.
    #[test]
    fn what_is_written_is_what_is_read(user in "\\PC{0,12}", password in "\\PC{1,12}", database: u16, port in 1u16.., is_tls: bool) {
        let [written, secret] = [&user, &password].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
        let login = Some((Some(user.clone()).filter(|user| !user.is_empty()), password));
        let scheme = if is_tls { "rediss" } else { "redis" };
        let text = format!("{scheme}://{written}:{secret}@redis.internal:{port}/{database}");
        prop_assert_eq!(server(&text), (tcp("redis.internal", port, is_tls), database, login.clone()));
        let user = if user.is_empty() { String::new() } else { format!("&user={written}") };
        let text = format!("redis+unix:///run/s?pass={secret}&db={database}{user}");
        prop_assert_eq!(server(&text), (RedisAddress::Unix("/run/s".into()), database, login));
    }

    /// A query of any keys is read whole or refused.
    #[test]
    fn no_key_is_without_effect(keys in proptest::collection::vec("(db|user|pass|DB|User|password|protocol|[a-z]{0,3})", 1..5)) {
        let query: Vec<_> = keys.iter().map(|key| format!("{key}=7")).collect();
        let text = format!("redis+unix:///run/s?{}", query.join("&"));
        let has = |name: &str| keys.iter().any(|key| key == name);
        let are_known = keys.iter().all(|key| ["db", "user", "pass"].contains(&key.as_str()));
        let are_single = (1..keys.len()).all(|index| !keys[index..].contains(&keys[index - 1]));
        let is_place = are_known && are_single && (has("pass") || !has("user"));
        prop_assert_eq!(fault(&text).is_none(), is_place, "{}", &text);
        if is_place {
            let (_, database, login) = server(&text);
            let seven = |name: &str| has(name).then(|| "7".to_owned());
            prop_assert_eq!(database, if has("db") { 7 } else { 0 });
            prop_assert_eq!(login, seven("pass").map(|password| (seven("user"), password)));
        }
    }

    /// Whatever is written: no fault and no place shows a password.
    #[test]
    fn nothing_panics_and_no_password_is_shown(before in "(redis|rediss|redis\\+unix|file)(:|://|:///)?\\PC{0,8}", after in "\\PC{0,8}") {
        let text = format!("{before}hunter2{after}");
        let shown = match StorePlace::parse(&text) {
            Err(fault) => format!("{fault} {}", fault.remedy()),
            Ok(StorePlace::Redis(RedisServer { login: Some(login), .. })) => format!("{:?}", login.password),
            Ok(_) => String::new(),
        };
        prop_assert!(!shown.contains("hunter2"), "{}", shown);
    }
}
