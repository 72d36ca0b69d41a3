//! The codes of log events and of problem documents. They are stable: operators search and alert on them.

macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $code:ident = $text:literal,)+) => {
        /// What has happened, in a word that does not change between versions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[doc = $meaning])+ $code,)+
        }

        impl Code {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// As it stands in the log.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $text,)+
                }
            }

            /// For the documentation.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$code => concat!($($meaning),+).trim_ascii(),)+
                }
            }
        }
    };
}

codes! {
    /// The request has more than one reading, or is larger than a request may be.
    RequestMalformed = "request.malformed",
    /// A route of Vestibule was requested with a method that it does not have.
    RequestMethodNotAllowed = "request.method_not_allowed",
    /// A login or logout was fetched by a page, requested ahead, or opened in a frame of another site, instead of visited.
    RequestNotVisited = "request.not_visited",
    /// A page of another origin asked for an upgrade with a session. With `[vestibule.embedding]` also: a page whose origin is
    /// neither that of `redirect_uri` nor in `vestibule.cors.origins` sent a session with a method other than `GET`, `HEAD` and
    /// `OPTIONS`, or from another site to load something that is not a page.
    RequestForeignOrigin = "request.foreign_origin",
    /// A request that needs a login had no session.
    RequestLoginRequired = "request.login_required",
    /// A request names a path below the one that is reserved for routes of Vestibule, and no route has this path.
    RequestReservedPath = "request.reserved_path",
    /// A proxy's question lacks a header, or has it twice: the proxy is not configured as in `examples/`.
    AuthzMalformedQuestion = "authz.malformed_question",
    /// A proxy asked about a route of Vestibule instead of sending it here.
    AuthzRouteAsked = "authz.route_asked",
    /// A request has a header that a server can take for one that clients must not send.
    AuthzLookalikeHeader = "authz.lookalike_header",
    /// A request asked for an upgrade to something else than `websocket`.
    AuthzForeignUpgrade = "authz.foreign_upgrade",
    /// The decision changes a header that no answer to this proxy can carry.
    AuthzEditNotCarried = "authz.edit_not_carried",
    /// A request that is for the application came to the service that other proxies ask.
    AuthzNotARoute = "authz.not_a_route",
    /// No rule admits the request, or the rule that decides does not admit the user.
    PolicyDenied = "policy.denied",
    /// A login named a provider that is not configured.
    LoginUnknownProvider = "login.unknown_provider",
    /// A login that another site starts by `POST` is no form, lacks `iss`, or has a parameter twice.
    LoginMalformed = "login.malformed",
    /// A user was sent to the provider.
    LoginStarted = "login.started",
    /// A user has logged in.
    LoginSucceeded = "login.succeeded",
    /// A login named a page to return to that is not of the public origin; it goes on without.
    LoginReturnToRefused = "login.return_to_refused",
    /// The provider token of `st.login` is malformed, has expired or is signed with another secret; the browser is redirected to
    /// the application's first page.
    LoginProviderTokenInvalid = "login.provider_token_invalid",
    /// The provider refused a login with `prompt=select_account`; the login is started once more without it.
    LoginWithoutPrompt = "login.without_prompt",
    /// The login attempt has made room for those of other tabs before the user came back; the login is started once more.
    LoginStartedAgain = "login.started_again",
    /// The account, or its session at the provider, was logged out everywhere while the login was under way, or up to 5 seconds
    /// before it began.
    LoginEnded = "login.ended",
    /// The authorization response lacks a parameter or has one twice; or a callback has no response, and no logout is under
    /// way.
    CallbackMalformed = "callback.malformed",
    /// The authorization response belongs to no login that this browser has started.
    CallbackUnknownState = "callback.unknown_state",
    /// The login attempt was used before: its authorization response came a second time, with a copy of the attempt's cookie, to this
    /// node or, with a store in Redis, to any.
    CallbackUsed = "callback.used",
    /// The authorization response names another issuer than the provider that was asked (RFC 9207), also if it is an error without `state`.
    CallbackIssuerMismatch = "callback.issuer_mismatch",
    /// The provider reports that the user or the provider denied access.
    CallbackAccessDenied = "callback.access_denied",
    /// The provider reports another error.
    CallbackProviderError = "callback.provider_error",
    /// A callback was visited again by a user who is logged in.
    CallbackAlreadyLoggedIn = "callback.already_logged_in",
    /// A provider did not answer.
    ProviderUnreachable = "provider.unreachable",
    /// A provider answered with an error status.
    ProviderStatus = "provider.status",
    /// The provider's metadata cannot be used.
    MetadataInvalid = "metadata.invalid",
    /// The provider's metadata cannot be fetched; Vestibule uses the metadata that it has.
    MetadataStale = "metadata.stale",
    /// Something optional in the provider's metadata cannot be used; the login goes on without it.
    MetadataIgnored = "metadata.ignored",
    /// An endpoint of the provider has gone, during a login, a refresh or a logout by the provider; the metadata is fetched again.
    MetadataRefetch = "metadata.refetch",
    /// The provider's key set cannot be used.
    KeysInvalid = "keys.invalid",
    /// The provider's key set cannot be fetched; the known one is used.
    KeysStale = "keys.stale",
    /// An ID token, a logout token or a userinfo response does not fit the known keys; the key set is fetched again.
    KeysRefetch = "keys.refetch",
    /// The token endpoint refused the authorization code or the client.
    TokenRefused = "token.refused",
    /// The provider reads client credentials in another spelling than was sent first; from now on it gets that one.
    TokenCredentialForm = "token.credential_form",
    /// The token response cannot be used.
    TokenInvalid = "token.invalid",
    /// The userinfo response cannot be used, or is for another subject.
    UserinfoInvalid = "userinfo.invalid",
    /// The ID token is not a signed JWT.
    IdTokenMalformed = "id_token.malformed",
    /// The ID token's type is that of another token.
    IdTokenType = "id_token.type",
    /// The ID token's signature algorithm is not accepted.
    IdTokenAlgorithm = "id_token.algorithm",
    /// The ID token names a critical extension.
    IdTokenCritical = "id_token.critical",
    /// The provider has no key with the ID token's `kid`.
    IdTokenUnknownKey = "id_token.unknown_key",
    /// The ID token's signature is wrong.
    IdTokenSignature = "id_token.signature",
    /// The ID token is from another issuer.
    IdTokenIssuer = "id_token.issuer",
    /// The ID token is from a tenant that is not configured.
    IdTokenTenant = "id_token.tenant",
    /// The ID token is for another client.
    IdTokenAudience = "id_token.audience",
    /// The ID token was issued to another client (`azp`).
    IdTokenAuthorizedParty = "id_token.authorized_party",
    /// The ID token has no subject.
    IdTokenSubject = "id_token.subject",
    /// The ID token has expired, or does not say when it does.
    IdTokenExpired = "id_token.expired",
    /// The ID token was issued too long ago, in the future, or at no stated time: compare the clocks.
    IdTokenIssuedAt = "id_token.issued_at",
    /// The ID token is not valid yet: compare the clocks.
    IdTokenNotBefore = "id_token.not_before",
    /// The ID token belongs to another login.
    IdTokenNonce = "id_token.nonce",
    /// The ID token belongs to another access token.
    IdTokenAccessTokenHash = "id_token.access_token_hash",
    /// The ID token's `acr` is none of `acr_values`.
    IdTokenAuthenticationContext = "id_token.authentication_context",
    /// The user authenticated longer ago than `max_age` allows, or at a time that is still to come.
    IdTokenAuthenticationTime = "id_token.authentication_time",
    /// The account is not of the domain that `hd` names.
    IdTokenHostedDomain = "id_token.hosted_domain",
    /// The claims do not fit into cookies; the message names the largest claim.
    SessionTooLarge = "session.too_large",
    /// The ID token does not fit into cookies: the provider's logout page will ask the user.
    SessionNoLogoutHint = "session.no_logout_hint",
    /// A session has fresh tokens of its provider.
    SessionRefreshed = "session.refreshed",
    /// A session could not be refreshed; it goes on, or requests are rejected with 503 (`on_outage`).
    SessionRefreshFailed = "session.refresh_failed",
    /// The provider issued no refresh token, or one that does not fit into cookies: the session cannot be refreshed.
    SessionNoRefreshToken = "session.no_refresh_token",
    /// A script requested a refresh, and `refresh` is not `"auto"`.
    RefreshOff = "refresh.off",
    /// A script requested a refresh of a session that has no refresh token.
    RefreshNoToken = "refresh.no_token",
    /// A script requested a refresh, and the provider does not accept the refresh token; the session goes on until its access token
    /// expires.
    RefreshRefused = "refresh.refused",
    /// A script requested a refresh less than a minute after the provider's last answer.
    RefreshTooSoon = "refresh.too_soon",
    /// The provider does not accept the session's refresh token any more, or issued an ID token for another login; the session has
    /// ended.
    SessionDisowned = "session.disowned",
    /// The session had to be validated (`revalidate`), and has no refresh token for that: the user must log in again.
    SessionUnvalidated = "session.unvalidated",
    /// A claim is too long for a header; the application does not get it.
    IdentityHeaderTooLong = "identity.header_too_long",
    /// The provider does not list the user's groups because there are too many.
    IdentityGroupsWithheld = "identity.groups_withheld",
    /// The claim of groups has another shape than the configuration states; the user gets no group from it.
    IdentityGroupsUnusable = "identity.groups_unusable",
    /// The claim of groups is one text with separators that the configured shape does not separate; it counts as one group.
    IdentityGroupsDoubtful = "identity.groups_doubtful",
    /// The claim of groups, which the configuration or a rule names, is not in the login.
    IdentityGroupsMissing = "identity.groups_missing",
    /// The claims do not fit into a request to Streamlit; the message names the largest claim.
    StreamlitTooLarge = "streamlit.too_large",
    /// The application does not say which server it is; Streamlit's newer cookies are used.
    StreamlitServerUnknown = "streamlit.server_unknown",
    /// An identity header was left out because there is no room for it beside Streamlit's cookies.
    StreamlitHeaderLeftOut = "streamlit.header_left_out",
    /// A claim of `drop_claims` was left out because there is no room for it.
    StreamlitClaimLeftOut = "streamlit.claim_left_out",
    /// A user has logged out.
    Logout = "logout",
    /// A user has logged out here, and not at the provider, which could not be asked.
    LogoutLocalOnly = "logout.local_only",
    /// A user has logged out everywhere: every session of the account ended.
    LogoutEverywhere = "logout.everywhere",
    /// The provider has revoked the tokens of a session that was logged out (RFC 7009).
    LogoutRevoked = "logout.revoked",
    /// The tokens of a session that was logged out are not revoked: the provider did not answer, refused, or too many revocations
    /// were under way.
    LogoutNotRevoked = "logout.not_revoked",
    /// A provider has logged out a user, or one session of a user (OpenID Connect Back-Channel Logout 1.0).
    LogoutByProvider = "logout.by_provider",
    /// A logout by a provider, or everywhere, was rejected: this host does not remember which sessions have ended.
    LogoutNotRemembered = "logout.not_remembered",
    /// A request to the route of back-channel logouts is not a form with one logout token.
    LogoutMalformed = "logout.malformed",
    /// A logout token could not be verified: the provider could not be asked for its metadata or keys.
    LogoutUnverifiable = "logout.unverifiable",
    /// The logout token is not a signed JWT.
    LogoutTokenMalformed = "logout_token.malformed",
    /// The logout token's type is that of another token.
    LogoutTokenType = "logout_token.type",
    /// The logout token's signature algorithm is not accepted.
    LogoutTokenAlgorithm = "logout_token.algorithm",
    /// The logout token names a critical extension.
    LogoutTokenCritical = "logout_token.critical",
    /// The provider has no key with the logout token's `kid`.
    LogoutTokenUnknownKey = "logout_token.unknown_key",
    /// The logout token's signature is wrong.
    LogoutTokenSignature = "logout_token.signature",
    /// The logout token is from an issuer that is no provider's of the configuration.
    LogoutTokenIssuer = "logout_token.issuer",
    /// The logout token is for another client.
    LogoutTokenAudience = "logout_token.audience",
    /// The logout token has neither `sub` nor `sid`, or one that is no text.
    LogoutTokenSubject = "logout_token.subject",
    /// The logout token has expired: compare the clocks.
    LogoutTokenExpired = "logout_token.expired",
    /// The logout token was issued too long ago, in the future, or at no stated time: compare the clocks.
    LogoutTokenIssuedAt = "logout_token.issued_at",
    /// The logout token is not valid yet: compare the clocks.
    LogoutTokenNotBefore = "logout_token.not_before",
    /// The logout token has a `nonce`, which only other tokens have.
    LogoutTokenNonce = "logout_token.nonce",
    /// The logout token does not have the event of a logout.
    LogoutTokenEvents = "logout_token.events",
    /// The logout token has no `jti`, or one that is no text.
    LogoutTokenId = "logout_token.id",
    /// The logout token was used before.
    LogoutTokenSpent = "logout_token.spent",
    /// A request was decided on before a configuration was loaded.
    FilterNotLoaded = "filter.not_loaded",
    /// The host wanted to finish a decision that had not begun, or was finished.
    FilterNotPending = "filter.not_pending",
    /// The host could not decide on a request, or not reach the application.
    HostFailure = "host.failure",
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
