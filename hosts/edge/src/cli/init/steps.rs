//! How an application is registered at each provider. The pages of docs/providers are made of this as well.

use crate::cli::init::answers::Who;
use crate::cli::init::provider::Kind;

/// In the provider's pages, in order. `{redirect_uri}` stands for the address.
pub(super) fn steps(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Google => &[
            "In the Google Cloud console, open \"Google Auth Platform\", \"Clients\", and create a client of the type \"Web application\".",
            "Add {redirect_uri} to \"Authorized redirect URIs\".",
            "Copy the client ID and the client secret.",
            "To admit accounts of your organisation only, choose \"Internal\" under \"Audience\".",
        ],
        Kind::Entra => &[
            "In the Microsoft Entra admin center, open \"App registrations\", \"New registration\", and choose \"Accounts in this organizational directory only\".",
            "Add {redirect_uri} as a redirect URI of the platform \"Web\".",
            "Copy \"Application (client) ID\" and \"Directory (tenant) ID\" from \"Overview\".",
            "Under \"Certificates & secrets\", create a client secret, and copy its value, not its ID.",
        ],
        Kind::Okta => &[
            "In the Admin Console, open \"Applications\", \"Create App Integration\", and choose \"OIDC - OpenID Connect\" and \"Web Application\".",
            "Add {redirect_uri} to \"Sign-in redirect URIs\" and to \"Sign-out redirect URIs\".",
            "Under \"Assignments\", assign the people or groups that use the application.",
            "Copy the client ID and the client secret.",
        ],
        Kind::Auth0 => &[
            "In the dashboard, open \"Applications\", \"Create Application\", and choose \"Regular Web Applications\".",
            "Under \"Settings\", add {redirect_uri} to \"Allowed Callback URLs\" and to \"Allowed Logout URLs\".",
            "Under \"Advanced Settings\", \"OAuth\", the signature algorithm must be RS256.",
            "Copy the domain (the issuer is https:// and the domain), the client ID and the client secret.",
        ],
        Kind::Keycloak => &[
            "In the realm, open \"Clients\", \"Create client\", of the type \"OpenID Connect\".",
            "Switch on \"Client authentication\" and \"Standard flow\".",
            "Add {redirect_uri} to \"Valid redirect URIs\" and to \"Valid post logout redirect URIs\".",
            "Copy the client secret from \"Credentials\".",
        ],
        Kind::Cognito => &[
            "In the user pool, open \"App clients\", and create one of the type \"Traditional web application\".",
            "Add {redirect_uri} to \"Allowed callback URLs\" and to \"Allowed sign-out URLs\", and allow the scopes openid, email and profile.",
            "Copy the client ID and the client secret. The issuer is https://cognito-idp.REGION.amazonaws.com/ and the user pool ID.",
            "Copy the domain of the user pool from \"Branding\", \"Domain\": its logout page is there.",
        ],
        Kind::Gitlab => &[
            "Open \"Applications\" in the settings of the instance, of a group or of a user, and add an application.",
            "Write {redirect_uri} as the redirect URI, and choose \"Confidential\" and the scopes openid, profile and email.",
            "Copy the application ID and the secret.",
        ],
        Kind::Zitadel => &[
            "In the project, create an application of the type \"Web\" with the authentication method \"Code\".",
            "Add {redirect_uri} to the redirect URIs and to the post logout URIs.",
            "Copy the client ID and the client secret, and the ID of the project.",
        ],
        Kind::Authentik => &[
            "Open \"Applications\", \"Create with provider\", and choose \"OAuth2/OpenID Provider\" with the client type \"Confidential\".",
            "Add {redirect_uri} to the redirect URIs, and choose a signing key.",
            "Copy the client ID and the client secret. The issuer is \"OpenID Configuration Issuer\" on the provider's page.",
        ],
        Kind::Other => &[
            "Register a client for the authorization code flow, with a client secret.",
            "Register {redirect_uri} as the redirect URI.",
            "ID tokens must be signed with RS256, ES256 or EdDSA.",
            "Copy the client ID, the client secret and the issuer.",
        ],
    }
}

/// What the provider must be told for whoever may enter.
pub(super) fn hint(kind: Kind, who: &Who) -> Option<&'static str> {
    let is_by_email = matches!(who, Who::Email(_) | Who::EmailDomain(_));
    match (kind, who) {
        (Kind::Entra, Who::Group { .. }) => {
            Some("Under \"Token configuration\", add a groups claim to the ID token. Groups are object IDs.")
        }
        (Kind::Entra, _) if is_by_email => Some("Under \"Token configuration\", add the optional claim `email` to the ID token."),
        (Kind::Okta, Who::Group { .. }) => {
            Some("Under \"Sign On\", \"OpenID Connect ID Token\", set a groups claim `groups` with a filter that your groups match.")
        }
        (Kind::Keycloak, Who::Group { .. }) => Some(
            "Under \"Client scopes\" of the client, open the scope that ends in -dedicated, and add a mapper \"Group Membership\" with the token claim \
             name `groups`, \"Add to ID token\" on and \"Full group path\" off: with the full path, the group admins is `/admins`.",
        ),
        (Kind::Zitadel, Who::Group { .. }) => {
            Some("Groups are roles of the project: switch on \"Assert Roles on Authentication\" in the project.")
        }
        (Kind::Authentik, _) if is_by_email => Some(
            "Addresses count only if `email_verified` is true: add a scope mapping for `email` that sets it for addresses which you trust.",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
