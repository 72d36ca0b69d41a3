//! Headers that applications take from a proxy in front of them, and that no client may write.
//!
//! 1. The lists here are the only ones. Every request that is forwarded loses what they name, on every host: the removal is
//!    an edit of the decision, or, of a question by another proxy ([`crate::authz`]), a header that the proxy's configuration
//!    removes. The configurations in `examples/` are compared with the lists.
//! 2. A name is compared as servers fold it: case, and any character that is neither letter nor digit counts as the same.
//! 3. `[vestibule.identity] pass` leaves names of the lists alone, in that one spelling.
//! 4. [`ARRIVAL`] names are not removed: each host, or the proxy that asks, writes them itself. Other spellings of them are.
//!
//! The names are those that servers, frameworks and other logins document. Credentials that clients send themselves
//! (`Authorization`, `X-Auth-Token`, `X-Access-Token`, `X-Api-Key`) are the application's, and on none of the lists.

use std::cmp::Ordering;

/// How a request arrived. In lower case and in order, like the other lists.
pub const ARRIVAL: [&str; 6] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip"];

/// What moves a request, for some server: its path, method, host, scheme or client, the response to it (`X-Accel-*`),
/// the proxy that the application uses itself (`Proxy`, CVE-2016-5385), or its protocol (`HTTP2-Settings`).
pub const STEERING: [&str; 91] = [
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-pseudo-ipv4",
    "client-ip",
    "cloudfront-viewer-address",
    "do-connecting-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded-for",
    "front-end-https",
    "http2-settings",
    "incap-client-ip",
    "proxy",
    "proxy-client-ip",
    "script-name",
    "true-client-ip",
    "wl-proxy-client-ip",
    "wl-proxy-ssl",
    "x-accel-buffering",
    "x-accel-charset",
    "x-accel-expires",
    "x-accel-limit-rate",
    "x-accel-mapping",
    "x-accel-redirect",
    "x-amz-cf-viewer-address",
    "x-amzn-lambda-context",
    "x-amzn-request-context",
    "x-appengine-user-ip",
    "x-arr-ssl",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-backend-host",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-context-path",
    "x-dest-uri",
    "x-envoy-external-address",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-forward-for",
    "x-forwarded",
    "x-forwarded-by",
    "x-forwarded-context",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-prefix",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-forwarded-url",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-ingress-path",
    "x-invoke-path",
    "x-matched-path",
    "x-method-override",
    "x-middleware-subrequest",
    "x-nf-client-connection-ip",
    "x-now-route-matches",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-method",
    "x-original-path",
    "x-original-proto",
    "x-original-uri",
    "x-original-url",
    "x-originating-ip",
    "x-override-url",
    "x-proxy-url",
    "x-proxycontextpath",
    "x-proxyhost",
    "x-proxyport",
    "x-proxyscheme",
    "x-proxyuser-ip",
    "x-real-url",
    "x-replaced-path",
    "x-rewrite-uri",
    "x-rewrite-url",
    "x-scheme",
    "x-script-name",
    "x-sendfile",
    "x-sendfile-type",
    "x-sucuri-clientip",
    "x-true-client-ip",
    "x-url-scheme",
    "x-vercel-forwarded-for",
    "x-waws-unencoded-url",
];

/// Those of [`STEERING`] by which frameworks take a request for one of another method.
const METHOD: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];

/// Who the user is, or that somebody has checked it, in the words of other logins, proxies and platforms.
pub const IDENTITY: [&str; 231] = [
    "auth-email",
    "auth-groups",
    "auth-mail",
    "auth-name",
    "auth-roles",
    "auth-user",
    "cas-user",
    "cf-access-authenticated-user-email",
    "cf-access-client-id",
    "cf-access-client-secret",
    "cf-access-jwt-assertion",
    "client-cert",
    "client-cert-chain",
    "ct-remote-user",
    "eppn",
    "http-remote-user",
    "impersonate-group",
    "impersonate-uid",
    "impersonate-user",
    "iv-creds",
    "iv-groups",
    "iv-user",
    "kubeflow-groups",
    "kubeflow-userid",
    "oam-remote-user",
    "oidc-access-token",
    "oidc-claim-email",
    "oidc-claim-groups",
    "oidc-claim-preferred-username",
    "oidc-claim-sub",
    "oidc-id-token",
    "osso-user-dn",
    "osso-user-guid",
    "posit-connect-user-session-token",
    "proxy-user",
    "redirect-remote-user",
    "remote-addr",
    "remote-email",
    "remote-groups",
    "remote-host",
    "remote-name",
    "remote-user",
    "rstudio-connect-credentials",
    "sf-context-current-user",
    "sf-context-current-user-email",
    "sf-context-current-user-token",
    "shib-identity-provider",
    "shib-session-id",
    "sm-serversessionid",
    "sm-universalid",
    "sm-user",
    "sm-userdn",
    "ssl-client-cert",
    "ssl-client-dn",
    "ssl-client-fingerprint",
    "ssl-client-i-dn",
    "ssl-client-issuer-dn",
    "ssl-client-s-dn",
    "ssl-client-serial",
    "ssl-client-subject-dn",
    "ssl-client-verify",
    "tailscale-app-capabilities",
    "tailscale-headers-info",
    "tailscale-user-login",
    "tailscale-user-name",
    "tailscale-user-profile-pic",
    "teleport-jwt-assertion",
    "wl-proxy-client-cert",
    "x-alfresco-remote-user",
    "x-amzn-mtls-clientcert",
    "x-amzn-mtls-clientcert-issuer",
    "x-amzn-mtls-clientcert-leaf",
    "x-amzn-mtls-clientcert-serial-number",
    "x-amzn-mtls-clientcert-subject",
    "x-amzn-mtls-clientcert-validity",
    "x-amzn-oidc-accesstoken",
    "x-amzn-oidc-data",
    "x-amzn-oidc-identity",
    "x-anonymous-consumer",
    "x-apigateway-api-userinfo",
    "x-appengine-cron",
    "x-appengine-queuename",
    "x-appengine-taskname",
    "x-appengine-user-email",
    "x-appengine-user-id",
    "x-appengine-user-is-admin",
    "x-arr-clientcert",
    "x-auth-email",
    "x-auth-groups",
    "x-auth-id",
    "x-auth-name",
    "x-auth-request-access-token",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-auth-request-preferred-username",
    "x-auth-request-redirect",
    "x-auth-request-user",
    "x-auth-role",
    "x-auth-roles",
    "x-auth-subject",
    "x-auth-user",
    "x-auth-userid",
    "x-auth-username",
    "x-auth0-user",
    "x-authenticated-groups",
    "x-authenticated-scope",
    "x-authenticated-user",
    "x-authenticated-userid",
    "x-authentik-email",
    "x-authentik-entitlements",
    "x-authentik-groups",
    "x-authentik-jwt",
    "x-authentik-meta-app",
    "x-authentik-meta-jwks",
    "x-authentik-meta-outpost",
    "x-authentik-meta-provider",
    "x-authentik-meta-version",
    "x-authentik-name",
    "x-authentik-uid",
    "x-authentik-username",
    "x-authz-roles",
    "x-authz-user",
    "x-client-cert",
    "x-client-cert-chain",
    "x-client-certificate",
    "x-client-dn",
    "x-client-s-dn",
    "x-client-verify",
    "x-cloudscheduler",
    "x-consumer-custom-id",
    "x-consumer-groups",
    "x-consumer-id",
    "x-consumer-username",
    "x-credential-identifier",
    "x-credential-username",
    "x-current-user",
    "x-endpoint-api-userinfo",
    "x-forwarded-client-cert",
    "x-forwarded-tls-client-cert",
    "x-forwarded-tls-client-cert-info",
    "x-goog-authenticated-user-email",
    "x-goog-authenticated-user-id",
    "x-goog-iap-jwt-assertion",
    "x-grafana-user",
    "x-jwt-assertion",
    "x-jwt-claims",
    "x-jwt-payload",
    "x-jwt-sub",
    "x-kong-jwt-claims",
    "x-ldap-groups",
    "x-ldap-user",
    "x-logged-in-user",
    "x-login-user",
    "x-ms-client-principal",
    "x-ms-client-principal-id",
    "x-ms-client-principal-idp",
    "x-ms-client-principal-name",
    "x-ms-token-aad-access-token",
    "x-ms-token-aad-expires-on",
    "x-ms-token-aad-id-token",
    "x-ms-token-aad-refresh-token",
    "x-nextcloud-user",
    "x-oidc-email",
    "x-oidc-groups",
    "x-oidc-user",
    "x-okta-email",
    "x-okta-user",
    "x-openid-email",
    "x-openid-subject",
    "x-pomerium-claim-email",
    "x-pomerium-claim-groups",
    "x-pomerium-claim-name",
    "x-pomerium-claim-user",
    "x-pomerium-jwt-assertion",
    "x-principal",
    "x-principal-name",
    "x-proxiedentitieschain",
    "x-proxy-roles",
    "x-proxy-user",
    "x-remote-addr",
    "x-remote-email",
    "x-remote-group",
    "x-remote-groups",
    "x-remote-ip",
    "x-remote-name",
    "x-remote-user",
    "x-remote-user-display-name",
    "x-remote-user-id",
    "x-remote-user-name",
    "x-rsc-request",
    "x-rstudio-request",
    "x-rstudio-root-path",
    "x-rstudio-username",
    "x-saml-email",
    "x-saml-user",
    "x-scope-orgid",
    "x-sp-usergroups",
    "x-sp-userid",
    "x-ssl-cert",
    "x-ssl-client-cert",
    "x-ssl-client-cn",
    "x-ssl-client-dn",
    "x-ssl-client-fingerprint",
    "x-ssl-client-s-dn",
    "x-ssl-client-serial",
    "x-ssl-client-verify",
    "x-sso-user",
    "x-streamlit-user",
    "x-tls-client-cert",
    "x-token-subject",
    "x-token-user-email",
    "x-token-user-name",
    "x-token-user-roles",
    "x-user",
    "x-user-email",
    "x-user-groups",
    "x-user-name",
    "x-user-role",
    "x-user-roles",
    "x-userinfo",
    "x-username",
    "x-vouch-idp-accesstoken",
    "x-vouch-idp-idtoken",
    "x-vouch-success",
    "x-vouch-user",
    "x-webauth-email",
    "x-webauth-fullname",
    "x-webauth-groups",
    "x-webauth-name",
    "x-webauth-role",
    "x-webauth-user",
];

/// What further names begin with that mean the same. None is the beginning of another. `-ws` is WebSphere's `$WSRU` and its
/// kin, as folded.
pub const FAMILIES: [&str; 49] = [
    "-ws",
    "cf-access-",
    "client-cert",
    "impersonate-",
    "iv-",
    "kubeflow-",
    "oidc-",
    "osso-",
    "remote-",
    "sf-context-",
    "shib-",
    "sm-",
    "spin-",
    "ssl-client-",
    "tailscale-",
    "wl-proxy-",
    "x-accel-",
    "x-amzn-mtls-",
    "x-amzn-oidc-",
    "x-appengine-",
    "x-auth-request-",
    "x-authenticated-",
    "x-authentik-",
    "x-client-cert",
    "x-consumer-",
    "x-credential-",
    "x-envoy-original-",
    "x-forwarded-",
    "x-goog-authenticated-user-",
    "x-http-method",
    "x-jwt-",
    "x-ldap-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-oidc-",
    "x-okta-",
    "x-openid-",
    "x-original-",
    "x-pomerium-",
    "x-remote-",
    "x-rewrite-",
    "x-rstudio-",
    "x-saml-",
    "x-sendfile",
    "x-ssl-",
    "x-tls-client-",
    "x-token-user-",
    "x-vouch-",
    "x-webauth-",
];

/// Whether a client's header of this name ends here: one of the lists, a member of a family, or another spelling of what
/// tells how a request arrived.
pub fn is_listed(name: &str) -> bool {
    if !begins_like_one(name) {
        return false;
    }
    let is_in = |list: &[&str]| list.binary_search_by(|known| compare(known, name)).is_ok();
    is_in(&STEERING) || is_in(&IDENTITY) || (has_family(name) && !is_arrival(name)) || (is_in(&ARRIVAL) && !is_arrival(name))
}

/// Whether [`STEERING`] or [`IDENTITY`] has exactly this name, in any case: one that every proxy can be told to remove. Of
/// another spelling, or another member of a family, that is not so.
pub fn is_named(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    STEERING.binary_search(&lower.as_str()).is_ok() || IDENTITY.binary_search(&lower.as_str()).is_ok()
}

/// Whether a header of this name asks for another method, in any spelling.
pub(crate) fn overrides_method(name: &str) -> bool {
    METHOD.binary_search_by(|known| compare(known, name)).is_ok()
}

/// Whether a claim must not be written into a header of this name: it says something else than who the user is.
pub(crate) fn steers(name: &str) -> bool {
    [&STEERING[..], &ARRIVAL].iter().any(|list| list.binary_search_by(|known| compare(known, name)).is_ok())
}

/// For each letter that a name of the lists begins with (the last: no letter), a bit for each second one. Every header of every request is looked
/// at, and these two letters tell most of a browser's from the lists.
const SECOND_LETTERS: [u32; 27] = {
    let lists: [&[&str]; 4] = [&ARRIVAL, &STEERING, &IDENTITY, &FAMILIES];
    let (mut bits, mut list) = ([0; 27], 0);
    while list < lists.len() {
        let mut index = 0;
        while index < lists[list].len() {
            let name = lists[list][index].as_bytes();
            bits[letter(name[0]) as usize] |= 1 << letter(name[1]);
            index += 1;
        }
        list += 1;
    }
    bits
};

/// The number of a letter in any case; the same one for all that is none.
const fn letter(byte: u8) -> u32 {
    if byte.is_ascii_alphabetic() { (byte.to_ascii_lowercase() - b'a') as u32 } else { 26 }
}

fn begins_like_one(name: &str) -> bool {
    let [first, second, ..] = name.as_bytes() else { return false };
    SECOND_LETTERS.get(letter(*first) as usize).is_some_and(|bits| bits >> letter(*second) & 1 == 1)
}

fn is_arrival(name: &str) -> bool {
    ARRIVAL.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The last family that is not behind `name` is the only one that it can belong to: all that begins alike stands together.
fn has_family(name: &str) -> bool {
    let behind = FAMILIES.partition_point(|family| compare(family, name) != Ordering::Greater);
    let family = behind.checked_sub(1).and_then(|index| FAMILIES.get(index));
    family.is_some_and(|family| name.get(..family.len()).is_some_and(|begin| compare(family, begin) == Ordering::Equal))
}

/// The order of a name of the lists and another one as servers fold it.
fn compare(known: &str, name: &str) -> Ordering {
    known.bytes().cmp(name.bytes().map(|byte| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_lists_are_in_order_and_name_nothing_twice() {
        for list in [&ARRIVAL[..], &STEERING, &METHOD, &IDENTITY, &FAMILIES] {
            assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "{list:?}");
            assert!(list.iter().all(|name| compare(name, name) == Ordering::Equal), "a name in another form: {list:?}");
        }
        assert!(METHOD.iter().all(|name| STEERING.contains(name)));
        assert!(STEERING.iter().all(|name| !IDENTITY.contains(name) && !ARRIVAL.contains(name)));
        assert!(IDENTITY.iter().all(|name| !ARRIVAL.contains(name)));
        for family in FAMILIES {
            assert!(FAMILIES.iter().all(|other| *other == family || !other.starts_with(family)), "{family}");
        }
    }

    #[test]
    fn what_clients_send_of_their_own_is_on_no_list() {
        for name in [
            "Authorization",
            "Accept",
            "Cookie",
            "Host",
            "Origin",
            "Referer",
            "Range",
            "If-None-Match",
            "Content-Type",
            "Content-Length",
            "Connection",
            "Upgrade",
            "Sec-WebSocket-Key",
            "Sec-Fetch-Mode",
            "User-Agent",
            "X-Requested-With",
            "X-CSRF-Token",
            "X-Api-Key",
            "X-Auth-Token",
            "X-Access-Token",
            "X-User-Id",
            "X-Request-Id",
            "Traceparent",
            "DPoP",
            "X-Amz-Date",
            "X-Ms-Version",
            "X-Goog-Api-Client",
            "Proxy-Authorization",
            "Sec-Purpose",
            "X-Forwarde",
            "Remote",
            "X-Frame-Options",
        ] {
            assert!(!is_listed(name) && !is_named(name), "{name}");
        }
        for name in ["", "x", "-", "X-", "é", "ep"] {
            assert!(!is_listed(name) && !is_named(name), "{name:?}");
        }
        for name in ARRIVAL {
            assert!(!is_listed(name) && !is_listed(&name.to_ascii_uppercase()), "{name} is the host's to write");
        }
    }

    #[test]
    fn members_of_families_are_listed_and_not_named() {
        for name in [
            "X-Remote-Extra-Scopes",
            "X_Authentik_New",
            "CF.ACCESS.X",
            "spin-path-info",
            "X-Forwarded-Anything",
            "OIDC_CLAIM_department",
            "$WSRU",
            "$wsra",
        ] {
            assert!(is_listed(name) && !is_named(name), "{name}");
        }
    }

    proptest! {
        /// No spelling that a server could fold into a name of the lists gets by, and only the very name is left to proxies.
        #[test]
        fn every_spelling_is_listed(
            index in 0..STEERING.len() + IDENTITY.len() + ARRIVAL.len(),
            separators in prop::collection::vec(prop::sample::select(b"-_.!~^`|'*+#$%&".to_vec()), 40),
            upper in prop::collection::vec(any::<bool>(), 40),
        ) {
            let known = *STEERING.iter().chain(&IDENTITY).chain(&ARRIVAL).nth(index).unwrap();
            let spelled: String = known.bytes().zip(separators).zip(upper).map(|((byte, separator), upper)| {
                let byte = if byte == b'-' { separator } else { byte };
                char::from(if upper { byte.to_ascii_uppercase() } else { byte })
            }).collect();
            let is_the_name = spelled.eq_ignore_ascii_case(known);
            prop_assert_eq!(is_listed(&spelled), !(ARRIVAL.contains(&known) && is_the_name));
            prop_assert_eq!(is_named(&spelled), !ARRIVAL.contains(&known) && is_the_name);
        }

        /// The search agrees with the definition.
        #[test]
        fn a_family_is_found_by_its_beginning(name in "[-_.a-zA-Z0-9]{0,30}", index in 0..FAMILIES.len(), within in any::<bool>()) {
            let name = if within { format!("{}{name}", FAMILIES[index]) } else { name };
            let folded: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
            prop_assert_eq!(has_family(&name), FAMILIES.iter().any(|family| folded.starts_with(family)));
        }
    }
}
